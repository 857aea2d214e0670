"""From a configuration to an embedding that runs."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import source
from benchmark.embeddings.weights import resolve
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.embeddings.base import Embedding
    from benchmark.embeddings.trainable import Trainable

# Each module has `build(config, weights, device) -> Embedding`; it is imported when it is first asked for.
FAMILIES = {
    "aclnet": "benchmark.embeddings.aclnet",
    "acmus": "benchmark.embeddings.acmus",
    "aenet": "benchmark.embeddings.aenet",
    "beats": "benchmark.embeddings.beats",
    "classical": "benchmark.embeddings.classical",
    "gated-cnn": "benchmark.embeddings.gated_cnn",
    "ge2e": "benchmark.embeddings.ge2e",
    "handcrafted": "benchmark.embeddings.handcrafted",
    "hear": "benchmark.embeddings.hear",
    "i-vector": "benchmark.embeddings.ivector",
    "ina": "benchmark.embeddings.ina",
    "jazz-solo": "benchmark.embeddings.jazz_solo",
    "lu": "benchmark.embeddings.lu_features",
    "melpatch": "benchmark.embeddings.melpatch",
    "musicnn": "benchmark.embeddings.musicnn",
    "openl3": "benchmark.embeddings.openl3",
    "opensmile": "benchmark.embeddings.opensmile_lld",
    "panns": "benchmark.embeddings.panns",
    "passt": "benchmark.embeddings.passt",
    "pretrained-here": "benchmark.embeddings.pretrained",
    "random-cnn": "benchmark.embeddings.random_cnn",
    "slowfast": "benchmark.embeddings.slowfast",
    "thin-resnet": "benchmark.embeddings.thin_resnet",
    "transformers": "benchmark.embeddings.transformers_hub",
    "vggish": "benchmark.embeddings.vggish",
    "yamnet": "benchmark.embeddings.yamnet",
}


def family_module(config: EmbeddingConfig) -> str:
    """Name of the module that builds the embedding.

    Raises:
        UserError: the family is unknown.
    """
    if config.family not in FAMILIES:
        close = difflib.get_close_matches(config.family, FAMILIES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(FAMILIES))}"
        raise UserError(f"{source(config)}: family: {config.family} is unknown; {hint}")
    return FAMILIES[config.family]


def build_embedding(config: EmbeddingConfig, weights: str | Path | None = None, device: str | None = None) -> Embedding:
    """Build an embedding, fetching its weights if they are not here.

    Args:
        config: the embedding's YAML.
        weights: a local file in the format that the authors publish, instead of the one that `config` names.
        device: `cpu`, `cuda`, ...; the GPU if there is one by default.

    Raises:
        UserError: unknown family, arguments that do not fit, or weights that cannot be had.
    """
    module = family_module(config)
    if weights is not None and not Path(weights).is_file():
        raise UserError(f"{source(config)}: weights: there is no file {weights}; give the path of the authors' file")
    path = Path(weights) if weights is not None else resolve(config.weights, source(config))
    return importlib.import_module(module).build(config, path, device or _default_device())


def build_trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What fine-tuning needs of an embedding.

    Args:
        config: the embedding's YAML.
        weights: the file of its weights; None: it can only be trained from scratch.

    Raises:
        UserError: its family cannot be trained, or arguments or weights do not fit.
    """
    module = importlib.import_module(family_module(config))
    if not hasattr(module, "trainable"):
        raise UserError(
            f"{source(config)}: trainable: family {config.family} cannot be trained; write `trainable: false`"
        )
    return module.trainable(config, weights)


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
