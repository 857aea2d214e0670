"""YAMNet: 0.96 s of 16 kHz audio every 0.48 s, embedding of 1024."""

from pathlib import Path

import torch
from torch import nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.audioset_mel import HOP, PATCH, SAMPLE_RATE, LogMel
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.precision import DTYPES, InPrecision
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
    args = check_args(config, {"hop": 0.48, "dtype": "float32"})
    check_choice(config, "model", config.model, ("yamnet", None))
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    net = YAMNet()
    path = needed(config, weights, "the authors' yamnet.h5")
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    hop = HOP * hop_in_frames(config, args["hop"], HOP, SAMPLE_RATE)
    return WindowEmbedding(
        config,
        nn.Sequential(LogMel(LOG_OFFSET), InPrecision(net.fold(), args["dtype"])).to(device).eval(),
        _BATCH.get(torch.device(device).type, _BATCH_GPU),
        Windows(PATCH, hop, tail="pad"),
        sample_rate=SAMPLE_RATE,
        dim=SIZE,
        device=device,
    )
