"""YAMNet: 0.96 s of 16 kHz audio every 0.48 s, embedding of 1024."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.audioset_mel import HOP, PATCH, SAMPLE_RATE, LogMel
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.precision import DTYPES, InPrecision
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import needed
from benchmark.embeddings.windows import WindowEmbedding, Windows, hop_in_frames
from benchmark.models.yamnet import SIZE, YAMNet, load_keras

LOG_OFFSET = 0.001

_BATCH = {"cpu": 32}
_BATCH_GPU = 256


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build YAMNet from the authors' `yamnet.h5`.

    Raises:
        UserError: arguments that do not fit, or weights that are missing or not YAMNet's.
    """
    args, windows = _arguments(config)
    net = _with_weights(config, weights).fold()
    return WindowEmbedding(
        config,
        nn.Sequential(LogMel(LOG_OFFSET), InPrecision(net, args["dtype"], device)).to(device).eval(),
        _BATCH.get(torch.device(device).type, _BATCH_GPU),
        windows,
        sample_rate=SAMPLE_RATE,
        dim=SIZE,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; layers 1 to 7 are what the freezing point fixes.

    Raises:
        UserError: as `build`.
    """
    _, windows = _arguments(config)
    design = Design(YAMNet.late, YAMNet.rest, SIZE, YAMNet.stem)
    inputs = window_inputs(windows, LogMel(LOG_OFFSET))
    return zoo_trainable(SAMPLE_RATE, inputs, design, YAMNet, lambda: _with_weights(config, weights))


def _arguments(config: EmbeddingConfig) -> tuple[dict[str, Any], Windows]:
    args = check_args(config, {"hop": 0.48, "dtype": "float32"})
    check_choice(config, "model", config.model, ("yamnet", None))
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    return args, Windows(PATCH, HOP * hop_in_frames(config, args["hop"], HOP, SAMPLE_RATE), tail="pad")


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> YAMNet:
    net = YAMNet()
    path = needed(config, weights, "the authors' yamnet.h5")
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    return net
