"""Leveret: a reproducible benchmark of audio representations and source separators."""
