"""How an embedding runs: in which numbers, compiled or not, in batches of what length.

Half precision comes in two ways. Families that know `args: dtype` convert their network once, with the layouts that suit it, and
keep their front end in float32. The networks of all others run under PyTorch's autocast, which takes half precision for products and
convolutions; their front ends lie outside of it. What has no weights stays in float32 altogether.
"""

import torch
from torch import nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding

CONVERTED = frozenset({"beats", "musicnn", "openl3", "panns", "passt", "transformers", "vggish", "yamnet"})


def in_precision(config: EmbeddingConfig, precision: str) -> EmbeddingConfig:
    """The YAML with `args: dtype` for a family that knows it, unless the YAML says it itself."""
    if precision == "float32" or config.family not in CONVERTED or "dtype" in config.args:
        return config
    return config.model_copy(update={"args": {**config.args, "dtype": precision}})


def prepare(embedding: Embedding, config: EmbeddingConfig, precision: str = "float32", compiled: bool = False) -> None:
    """Let an embedding that was built from `in_precision(config, precision)` run as asked for.

    Args:
        precision: `float32`, `bfloat16` or `float16`.
        compiled: whether its network goes through `torch.compile`, when it first runs.
    """
    network = getattr(embedding, "network", None)
    if not isinstance(network, nn.Module) or next(network.parameters(), None) is None:
        return
    if config.family not in CONVERTED:
        embedding.precision = getattr(torch, precision)
    if compiled:
        embedding.network = torch.compile(network)
