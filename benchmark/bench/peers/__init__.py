"""References as their own users run them, each in its own environment; see `benchmark.bench.peers.client`.

A script beside this file is called like the family that it is the reference of. It runs under the reference's Python,
not under ours, so it imports nothing of `benchmark` but `serve.py`, which lies beside it.
"""
