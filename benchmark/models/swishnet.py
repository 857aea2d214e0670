"""SwishNet, a gated 1-D CNN for speech, music and noise (Hussain & Haque 2018, arXiv 1812.00149, Figure 1, Table I).

Cepstra are channels and time is the axis: (B, inputs, T). The published parameter counts (5,483 slim, 18,267 wide,
with 20 inputs and 3 classes) hold for separable k = 6 branches and a hidden 1 x 1 layer before the output, which
Figure 1 does not draw. Sums across strides are not explained by the paper; like all public implementations we replace
strides by
dilations: `unit` 3, 2, 2, 2, 2 (theirs; 38 frames of context) or `a_trous` 1, 3, 6, 12, 24 (what the strides would
    see; 108).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable

_DILATIONS = {"unit": (3, 2, 2, 2, 2), "a_trous": (1, 3, 6, 12, 24)}


class CausalGate(nn.Module):
    """Causal convolution to `filters` maps; sigmoid of the first half times tanh of the second: filters / 2 maps.

    Args:
        inputs: channels in.
        filters: maps of the convolution; half of them come out.
        kernel: length in frames.
        dilation: frames between taps.
        separable: a depthwise filter without bias, then a pointwise convolution.
    """

    def __init__(self, inputs: int, filters: int, kernel: int, dilation: int = 1, separable: bool = False):
        super().__init__()
        self.past = (kernel - 1) * dilation
        if separable:
            depthwise = nn.Conv1d(inputs, inputs, kernel, dilation=dilation, groups=inputs, bias=False)
            self.conv = nn.Sequential(depthwise, nn.Conv1d(inputs, filters, 1))
        else:
            self.conv = nn.Conv1d(inputs, filters, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.conv(functional.pad(x, (self.past, 0))).chunk(2, dim=1)
        return torch.sigmoid(gate) * torch.tanh(value)


class _TwoBranches(nn.Module):
    """Blocks 1 to 3: a plain k = 3 gate and a separable k = 6 gate side by side."""

    def __init__(self, inputs: int, filters: int):
        super().__init__()
        self.upper = CausalGate(inputs, filters, 3)
        self.lower = CausalGate(inputs, filters, 6, separable=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.upper(x), self.lower(x)], dim=1)


class SwishNet(Freezable):
    """Slim (`width` 1) or wide (`width` 2) SwishNet.

    Args:
        inputs: cepstra or mel bands.
        classes: outputs.
        width: factor of all filter counts.
        dilations: `unit` or `a_trous`, see the module.
        dropout: rate behind each block in training.
    """

    def __init__(
        self,
        inputs: int = 20,
        classes: int = 3,
        width: int = 1,
        dilations: Literal["unit", "a_trous"] = "unit",
        dropout: float = 0.0,
    ):
        super().__init__()
        w, d = width, _DILATIONS[dilations]
        self.block1 = _TwoBranches(inputs, 16 * w)
        self.block2 = _TwoBranches(16 * w, 8 * w)
        self.block3 = _TwoBranches(8 * w, 8 * w)
        self.block4 = CausalGate(8 * w, 16 * w, 3, d[0])
        self.block5 = CausalGate(8 * w, 16 * w, 3, d[1])
        self.block6 = CausalGate(8 * w, 16 * w, 3, d[2])
        self.block7 = CausalGate(8 * w, 16 * w, 3, d[3])
        self.block8 = CausalGate(8 * w, 32 * w, 3, d[4])
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Conv1d(40 * w, 16 * w, 1)
        self.output = nn.Conv1d(16 * w, classes, 1)
        self.dim = 40 * w

    def intermediate(self) -> Sequence[nn.Module]:
        """Blocks 1 to 4, the first half."""
        return self.block1, self.block2, self.block3, self.block4

    def stem(self, x: Tensor) -> Tensor:
        """Inputs (B, inputs, T) to the sum behind block 4, (B, 8 * width, T)."""
        drop = self.dropout
        r2 = drop(self.block2(drop(self.block1(x))))
        r3 = drop(self.block3(r2)) + r2
        return drop(self.block4(r3)) + r3

    def late_maps(self, r4: Tensor) -> Tensor:
        """What `stem` gives to the concatenated maps of blocks 5 to 8, (B, 40 * width, T)."""
        drop = self.dropout
        a = drop(self.block5(r4))
        r5 = a + r4
        b = drop(self.block6(r5))
        c = drop(self.block7(b + r5))
        return torch.cat([a, b, c, drop(self.block8(c))], dim=1)

    def maps(self, x: Tensor) -> Tensor:
        """Inputs (B, inputs, T) to the concatenated maps of blocks 5 to 8, (B, 40 * width, T)."""
        return self.late_maps(self.stem(x))

    def rest(self, x: Tensor) -> Tensor:
        """What `stem` gives to the time average of the concatenated maps, (B, 40 * width)."""
        return self.late_maps(x).mean(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, inputs, T) to logits (B, classes): the time average of the output layer."""
        return self.output(torch.relu(self.hidden(self.maps(x)))).mean(dim=-1)
