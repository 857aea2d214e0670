"""Mixtures of speakers, made from the lists that their authors published, from speech that people have a licence for."""

from benchmark.datasets.mixing.make import make_mixtures

__all__ = ["make_mixtures"]
