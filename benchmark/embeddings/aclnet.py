"""AclNet on windows of 1.28 s at 16 kHz, one behind the other, the last one completed with zeros."""

from pathlib import Path

from torch import nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args
from benchmark.embeddings.trainable import Trainable, own_design, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import fill, needed, read_state
from benchmark.embeddings.windows import WindowEmbedding, Windows
from benchmark.models.aclnet import AclNet
from benchmark.models.strict import load_strict

SAMPLE_RATE = 16000
WINDOW = 20480
_BATCH = 16
_WINDOWS = Windows(WINDOW, WINDOW, tail="pad")


class _Network(nn.Module):
    def __init__(self, net: AclNet):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.embed(x)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build an AclNet embedding from the public port's state dict; `args: {classes: ...}`, 10 by default.

    Raises:
        UserError: another argument, or weights that are missing or do not fit.
    """
    args = check_args(config, {"classes": 10})
    net = _with_weights(config, weights, args["classes"])
    return WindowEmbedding(
        config,
        _Network(net).to(device).eval(),
        _BATCH,
        _WINDOWS,
        sample_rate=SAMPLE_RATE,
        dim=net.dim,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the convolutions on the waveform are what the freezing point fixes.

    Raises:
        UserError: as `build`.
    """
    classes = check_args(config, {"classes": 10})["classes"]
    return zoo_trainable(
        SAMPLE_RATE,
        window_inputs(_WINDOWS),
        own_design(AclNet.dim),
        lambda: AclNet(classes),
        lambda: _with_weights(config, weights, classes),
    )


def _with_weights(config: EmbeddingConfig, weights: Path | None, classes: int) -> AclNet:
    path = needed(config, weights, "a state dict of the port")
    net = AclNet(classes)
    fill(path, lambda: load_strict(net, read_state(path)))
    return net
