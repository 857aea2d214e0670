"""Parts of normaliser-free residual networks (Brock et al. 2021, arXiv 2102.06171), as the slowfast networks use them.

Conventions: maps are (B, C, H, W); all padding is TensorFlow's "same"; an expected standard deviation is carried along
so that every block sees an input of unit variance at the start of training.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Gain that keeps the variance of GELU's output at one (Brock et al. 2021).
_GELU_GAIN = 1.7015043497085571
# Weight of a residual branch.
ALPHA = 0.2

Size = tuple[int, int]


def gelu(x: Tensor, approximate: str) -> Tensor:
    """GELU (`tanh` or `none`: the erf form) times the gain."""
    return functional.gelu(x, approximate=approximate) * _GELU_GAIN


def same_pad(x: Tensor, kernel: Size, stride: Size, value: float = 0.0) -> Tensor:
    """Pad (B, C, H, W) so that ceil(n / stride) windows fit; an odd rest goes behind."""
    sides = []
    for size, k, s in zip(reversed(x.shape[-2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        sides += [total // 2, total - total // 2]
    return functional.pad(x, sides, value=value) if any(sides) else x


class WSConv2d(nn.Module):
    """Convolution whose kernel is standardised per output channel: (w - mean) gain / sqrt(max(variance * fan-in,
    1e-4)).

    Args:
        inputs, outputs: channels.
        kernel, stride: along both axes.
        groups: of channels.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Size = (1, 1), stride: Size = (1, 1), groups: int = 1):
        super().__init__()
        self.kernel, self.stride, self.groups = kernel, stride, groups
        fan_in = inputs // groups * math.prod(kernel)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *kernel).normal_(std=fan_in**-0.5))
        self.gain = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._folded: Tensor | None = None

    def standardized(self) -> Tensor:
        """The kernel that is convolved with, shaped like `weight`."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        scale = torch.rsqrt((variance * self.weight[0].numel()).clamp(min=1e-4)) * self.gain[:, None, None, None]
        return (self.weight - mean) * scale

    def fold(self) -> None:
        """Standardise once and for all; for inference, undone by `train`."""
        self._folded = self.standardized().detach()

    def train(self, mode: bool = True) -> "WSConv2d":
        self._folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.standardized() if self._folded is None else self._folded
        x = same_pad(x, self.kernel, self.stride)
        return functional.conv2d(x, weight, self.bias, self.stride, groups=self.groups)


class SqueezeExcite(nn.Module):
    """(B, C, H, W) times twice a gate per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // 2)
        self.fc2 = nn.Linear(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc2(functional.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * (2.0 * gate)[:, :, None, None]


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """What distinguishes the blocks of the two networks.

    Attributes:
        kernels: of the two grouped convolutions; the first one strides.
        group_size: channels a group.
        approximate: form of GELU, `tanh` or `none`.
    """

    kernels: tuple[Size, Size]
    group_size: int
    approximate: str


class NFBlock(nn.Module):
    """Bottleneck block: shortcut + 0.2 * skip_gain * SE(1x1, grouped, grouped, 1x1).

    Args:
        inputs, outputs: channels.
        plan: kernels, groups, activation.
        stride: of the first grouped convolution and of the shortcut's average pool.
        beta: 1 / expected standard deviation of the input.
        project: whether the shortcut has a 1 x 1 convolution; otherwise it is the input itself.
        drop: rate of stochastic depth in training.
    """

    def __init__(
        self, inputs: int, outputs: int, plan: BlockPlan, stride: Size, beta: float, project: bool, drop: float
    ):
        super().__init__()
        width = outputs // 2
        groups = width // plan.group_size
        self.stride, self.beta, self.approximate, self.drop = stride, beta, plan.approximate, drop
        self.convs = nn.ModuleList(
            [
                WSConv2d(inputs, width),
                WSConv2d(width, width, plan.kernels[0], stride, groups),
                WSConv2d(width, width, plan.kernels[1], groups=groups),
                WSConv2d(width, outputs),
            ]
        )
        self.se = SqueezeExcite(outputs)
        self.skip_gain = nn.Parameter(torch.zeros(1))
        self.skip_conv = WSConv2d(inputs, outputs) if project else None

    def forward(self, x: Tensor) -> Tensor:
        active = gelu(x, self.approximate) * self.beta
        shortcut = x if self.skip_conv is None else self.skip_conv(self._pooled(active))
        residual = self.convs[0](active)
        for conv in self.convs[1:]:
            residual = conv(gelu(residual, self.approximate))
        residual = self.se(residual)
        if self.training and self.drop > 0.0:
            residual = residual * torch.floor(1.0 - self.drop + torch.rand_like(residual[:, :1, :1, :1]))
        return shortcut + ALPHA * self.skip_gain * residual

    def _pooled(self, x: Tensor) -> Tensor:
        # "Same" average pooling leaves the padding, which is behind, out of the mean: PyTorch's ceil mode does so too.
        return x if self.stride == (1, 1) else functional.avg_pool2d(x, self.stride, self.stride, ceil_mode=True)


class Stage(nn.Module):
    """Blocks in a row."""

    def __init__(self, blocks: Sequence[NFBlock]):
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Stem(nn.Module):
    """Convolutions with GELU between them, none behind the last."""

    def __init__(self, channels: Sequence[int], kernels: Sequence[Size], strides: Sequence[Size], approximate: str):
        super().__init__()
        self.approximate = approximate
        sizes = (1, *channels)
        self.convs = nn.ModuleList(WSConv2d(*a) for a in zip(sizes[:-1], channels, kernels, strides, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        x = self.convs[0](x)
        for conv in self.convs[1:]:
            x = conv(gelu(x, self.approximate))
        return x
