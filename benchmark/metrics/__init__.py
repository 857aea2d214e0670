"""Scores, folds and statistics."""
