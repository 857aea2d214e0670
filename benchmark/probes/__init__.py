"""Classifiers on frozen embeddings, all folds as one batched program."""
