"""Scores of separated sources: BSS Eval v3 and v4, scale-invariant ratios, and perceptual measures."""
