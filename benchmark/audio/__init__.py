"""Decoding, resampling and the front ends."""
