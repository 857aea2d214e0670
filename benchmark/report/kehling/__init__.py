"""Kehling & Cano, "Knowledge Transfer from Neural Networks for Speech Music Classification" (CMMR 2021), beside ours."""
