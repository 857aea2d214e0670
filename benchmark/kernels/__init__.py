"""Loops over arrays that are compiled for the processor they run on."""
