"""The jazz-solo CNN on its own features (repository juansgomez87/jazz-show-case, `main.py`).

22,050 Hz, clips over their peak, 128 mel bands on magnitudes, natural logarithm, segments of 43 frames (1 s), hop 21
frames.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import peak_normalized
from benchmark.audio.frontends import MelSpectrogram, hann
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.trainable import Prepared, Trainable
from benchmark.embeddings.weight_files import needed
from benchmark.models.jazz_solo import JazzSolo, load_keras

SAMPLE_RATE = 22050
FRAMES, FRAME_HOP = 43, 21
READOUTS = {"dense": 1024, "maxima": 256}

_HOP = 512
_BATCH = 16
_LAYOUT = Layout(FRAMES, FRAME_HOP, _HOP / SAMPLE_RATE)
_LEAST = (FRAMES - 1) * _HOP


class Features(nn.Module):
    """Waveform (samples,) to ln(mel magnitude + machine epsilon), (T, 128)."""

    def __init__(self) -> None:
        super().__init__()
        # The authors' librosa (0.5) still reflected at the ends.
        self.mel = MelSpectrogram(SAMPLE_RATE, 2048, _HOP, 128, window=hann(1024), power=1.0, pad_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.mel(peak_normalized(x)) + torch.finfo(torch.float32).eps)


class _Network(nn.Module):
    def __init__(self, net: JazzSolo, readout: str):
        super().__init__()
        self.net, self.readout = net, readout

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return self.net.embed(x) if self.readout == "dense" else self.net.maxima(x)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build a jazz-solo embedding, `args: {readout: dense | maxima}`.

    Raises:
        UserError: another argument, or weights that are missing or do not fit.
    """
    args = check_args(config, {"readout": "dense"})
    check_choice(config, "args: readout", args["readout"], tuple(READOUTS))
    return FeatureEmbedding(
        config,
        Features().to(device),
        _Network(_with_weights(config, weights), args["readout"]).to(device).eval(),
        _BATCH,
        _LAYOUT,
        _LEAST,
        sample_rate=SAMPLE_RATE,
        dim=READOUTS[args["readout"]],
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the authors' transfer fixes everything but the output.

    Raises:
        UserError: as `build`.
    """
    check_choice(config, "args: readout", check_args(config, {"readout": "dense"})["readout"], ("dense",))
    return Trainable(
        SAMPLE_RATE,
        READOUTS["dense"],
        patch_inputs(Features(), _LAYOUT, _LEAST),
        lambda: Prepared(_with_weights(config, weights), nn.Identity(), channels_first=True),
        lambda classes, _: Prepared(JazzSolo(classes), nn.Identity(), channels_first=True),
    )


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> JazzSolo:
    path = needed(config, weights, "the authors' .hdf5 file")
    net = JazzSolo()
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    return net
