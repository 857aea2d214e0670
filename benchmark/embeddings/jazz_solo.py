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
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.weight_files import fill, needed
from benchmark.models.jazz_solo import JazzSolo, load_keras

SAMPLE_RATE = 22050
FRAMES, FRAME_HOP = 43, 21
READOUTS = {"dense": 1024, "maxima": 256}

_HOP = 512
_BATCH = 16


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
    path = needed(config, weights, "the authors' .hdf5 file")
    net = JazzSolo()
    fill(path, lambda: load_keras(net, read_keras_h5(path)))
    return FeatureEmbedding(
        config,
        Features().to(device),
        _Network(net, args["readout"]).to(device).eval(),
        _BATCH,
        Layout(FRAMES, FRAME_HOP, _HOP / SAMPLE_RATE),
        (FRAMES - 1) * _HOP,
        sample_rate=SAMPLE_RATE,
        dim=READOUTS[args["readout"]],
        device=device,
    )
