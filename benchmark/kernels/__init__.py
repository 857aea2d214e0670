"""Loops of the processor, compiled by numba, where PyTorch's own run over memory too often."""
