"""Embeddings with random weights: right in shape, rate, size and cost where the authors' weights are not at hand.

What they give means nothing. They serve to count and to time a network, and to show that an embedding keeps its
contracts (finite values, equal frames alone and in company, the HEAR API) without anyone's file.
"""

import importlib

import torch

from benchmark.config.schema_embedding import TRAINED_HERE, EmbeddingConfig
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.registry import family_module
from benchmark.embeddings.weight_files import RANDOM


def build_seeded(config: EmbeddingConfig, device: str = "cpu", seed: int = 0) -> Embedding:
    """Build an embedding whose network keeps the weights that PyTorch initialises it with.

    Args:
        config: the embedding's YAML.
        device: where it runs.
        seed: of the weights; the global generator is left as it was.

    Raises:
        UserError: unknown family, arguments that do not fit, or a model whose shape only its file or the hub tells.
    """
    family = importlib.import_module(family_module(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        none = config.weights is None and config.family not in TRAINED_HERE
        return family.build(config, None if none else RANDOM, device)
