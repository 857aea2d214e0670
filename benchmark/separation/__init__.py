"""Separators: a mixture in, its sources out. Nets, losses, training, and inference on signals of any length."""
