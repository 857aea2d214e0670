"""Thin ResNet-34 with self-attentive pooling, an encoder of singers (Hu et al., IJCNN 2021, Table I).

The table's shapes for a mel spectrogram of 64 bands x 350 frames, frequency x time x channels: convolution 7 x 7
32 x 350 x 16, max pooling 16 x 350 x 16, residual stages of 3, 4, 6, 3 basic blocks 16 x 175 x 16, 8 x 88 x 32,
4 x 44 x 64, 4 x 22 x 128, mean over frequency 22 x 128, pooling over time 128, dense layer 512. 1,416,656 weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable

# Blocks of a stage, channels over the width, strides over frequency and time.
_STAGES = ((3, 1, (1, 2)), (4, 2, (2, 2)), (6, 4, (2, 2)), (3, 8, (1, 2)))


class BasicBlock(nn.Module):
    """Two convolutions 3 x 3 with batch normalisation, and a shortcut: the input, or a 1 x 1 convolution of it."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1) or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class SelfAttentivePooling(nn.Module):
    """Frames (B, T, F) to their mean (B, F), weighted by softmax over t of tanh(W x_t + b) . mu."""

    def __init__(self, size: int):
        super().__init__()
        self.hidden = nn.Linear(size, size)
        self.context = nn.Parameter(torch.empty(size, 1))
        nn.init.xavier_normal_(self.context)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(torch.tanh(self.hidden(x)) @ self.context, dim=1)
        return (weights * x).sum(dim=1)


class ThinResNet34(Freezable):
    """The encoder; inputs are (B, frames, bands) of log-mel spectra.

    Args:
        bands: mel bands.
        width: channels of the first stage, a quarter, an eighth ... of the others'; the paper's is 16.
        dim: size of the embedding.
        normalise: what is taken from a segment first: the mean of each band over time (`band`), or its mean over all
            (`level`).
        classes: outputs behind the embedding; 0: none, as metric learning wants it.
    """

    def __init__(self, bands: int = 64, width: int = 16, dim: int = 512, normalise: str = "band", classes: int = 0):
        super().__init__()
        self.bands, self.dim, self.axes = bands, dim, {"band": (1,), "level": (1, 2)}[normalise]
        self.conv1 = nn.Conv2d(1, width, 7, (2, 1), padding=3, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, (2, 1), padding=1)
        inputs, stages = width, []
        for blocks, factor, stride in _STAGES:
            outputs = width * factor
            first = BasicBlock(inputs, outputs, stride)
            stages.append(nn.Sequential(first, *(BasicBlock(outputs, outputs, (1, 1)) for _ in range(blocks - 1))))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.attention = SelfAttentivePooling(inputs)
        self.dense = nn.Linear(inputs, dim)
        self.output = nn.Linear(dim, classes) if classes else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def intermediate(self) -> Sequence[nn.Module]:
        """The first convolution and the first two stages."""
        return self.conv1, self.norm1, *self.stages[:2]

    def stem(self, x: Tensor) -> Tensor:
        """Segments (B, frames, bands) to the maps of the second stage (B, 2 * width, bands / 8, frames / 4)."""
        x = x - x.mean(dim=self.axes, keepdim=True)
        x = self.pool(functional.relu(self.norm1(self.conv1(x.transpose(1, 2)[:, None]))))
        return self.stages[1](self.stages[0](x))

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the embedding (B, dim)."""
        x = self.stages[3](self.stages[2](x))
        return self.dense(self.attention(x.mean(dim=2).transpose(1, 2)))

    def forward(self, x: Tensor) -> Tensor:
        """Segments (B, frames, bands) to logits (B, classes), or to embeddings where there are no classes."""
        x = self.embed(x)
        return x if self.output is None else self.output(x)
