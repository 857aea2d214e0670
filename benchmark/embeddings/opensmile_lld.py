"""openSMILE's eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 2016), through the package opensmile (extra
`opensmile`).

`egemaps`: 88 functionals a clip. `egemaps-lld`: 25 low-level descriptors every 10 ms. Values that are undefined, as
those of pitch where nothing is voiced, are 0. openSMILE is free for research only.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.base import Embedding
from benchmark.errors import UserError

SAMPLE_RATE = 16000
DIMS = {"egemaps": 88, "egemaps-lld": 25}

_HOP_S = 0.010


class OpensmileEmbedding(Embedding):
    """eGeMAPS v02 of whole clips or of frames; clips of less than a second are completed with zeros.

    Args:
        config: the embedding's YAML.
        smile: an `opensmile.Smile` of the level that `config.model` names.
        device: reported only; openSMILE runs on the CPU.
    """

    def __init__(self, config: EmbeddingConfig, smile: Any, device: str):
        self.smile = smile
        self.whole = config.model == "egemaps"
        hop_seconds = 1.0 if self.whole else _HOP_S
        dim = DIMS[str(config.model)]
        super().__init__(config, sample_rate=SAMPLE_RATE, dim=dim, hop_seconds=hop_seconds, device=device)

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        return [self._clip(waveform) for waveform in waveforms]

    def _clip(self, waveform: np.ndarray) -> tuple[Tensor, np.ndarray]:
        padded = np.pad(waveform, (0, max(0, SAMPLE_RATE - len(waveform))))
        table = self.smile.process_signal(padded, SAMPLE_RATE)
        vectors = torch.from_numpy(np.nan_to_num(table.to_numpy(dtype=np.float32), posinf=0.0, neginf=0.0))
        if self.whole:
            return vectors, np.array([len(waveform) / 2 / SAMPLE_RATE])
        frames = max(1, min(len(vectors), int(len(waveform) / SAMPLE_RATE / _HOP_S)))
        return vectors[:frames], (np.arange(frames) + 0.5) * _HOP_S


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> OpensmileEmbedding:
    """Build the embedding; `model` is `egemaps` or `egemaps-lld`.

    Raises:
        UserError: another model, an argument is given, or the package is not installed.
    """
    check_args(config, {})
    check_choice(config, "model", config.model, tuple(DIMS))
    try:
        import opensmile
    except ImportError:
        where = source(config)
        raise UserError(f"{where}: family: opensmile is not installed; pip install 'leveret[opensmile]'") from None
    level = opensmile.FeatureLevel.Functionals
    if config.model == "egemaps-lld":
        level = opensmile.FeatureLevel.LowLevelDescriptors
    return OpensmileEmbedding(config, opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, level), device)
