"""Leveret: a reproducible benchmark of audio representations and source separators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.embeddings.base import Embedding

__all__ = ["load_embedding"]


def load_embedding(name: str, weights: str | Path | None = None, device: str | None = None) -> Embedding:
    """An embedding of the project folder that this is called in, or of the repository that this package is installed from.

    Args:
        name: as `leveret list embeddings` shows it, or the path of a YAML.
        weights: a local file in the format that the authors publish, instead of the one that the YAML names.
        device: `cpu`, `cuda`, ...; a GPU if there is one by default.

    Returns:
        An object with `sample_rate`, `dim`, `hop_seconds` and `embed(waveforms)`, which gives for each waveform
        (samples,) float32 its frames (n, dim) float32 and their centres (n,) in seconds.

    Raises:
        UserError: there is no such embedding, or its weights cannot be had.
    """
    from benchmark.config.load import load
    from benchmark.config.schema_embedding import EmbeddingConfig
    from benchmark.embeddings.registry import build_embedding
    from benchmark.errors import UserError

    folders = (Path(), Path(__file__).resolve().parents[1])
    candidates = (
        [Path(name)] if name.endswith((".yaml", ".yml")) else [f / "embeddings" / f"{name}.yaml" for f in folders]
    )
    for path in candidates:
        if path.is_file():
            return build_embedding(load(path, EmbeddingConfig), weights, device)
    raise UserError(
        f"embedding {name!r} is unknown: there is no {candidates[0]}; `leveret list embeddings` shows what there is"
    )
