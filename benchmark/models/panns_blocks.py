"""Building blocks of PANNs: plain, residual, inverted residual and one-dimensional convolutions.

Names of modules are those of the authors' checkpoints. Every block ends its convolutions with a batch normalisation,
and `fold_norms` merges the two for frozen use.
"""

import itertools

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, dropout, max_pool1d, relu
from torch.nn.utils.fusion import fuse_conv_bn_weights

Pool = tuple[int, int]


def convolution(before: int, after: int, size: int, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of its maps, without bias."""
    return nn.Conv2d(before, after, size, padding=size // 2, groups=groups, bias=False)


class ConvBlock(nn.Module):
    """Twice a 3 x 3 convolution, batch normalisation and ReLU; then average pooling. (B, a, T, F) to (B, b, T', F')."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(before, after, 3), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = convolution(after, after, 3), nn.BatchNorm2d(after)

    def forward(self, x: Tensor, pool: Pool = (2, 2)) -> Tensor:
        x = relu(self.bn1(self.conv1(x)), inplace=True)
        x = relu(self.bn2(self.conv2(x)), inplace=True)
        x = x if pool == (1, 1) else avg_pool2d(x, pool)
        return dropout(x, 0.2, self.training)


class ConvBlock5x5(nn.Module):
    """A 5 x 5 convolution, batch normalisation and ReLU; then average pooling."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(before, after, 5), nn.BatchNorm2d(after)

    def forward(self, x: Tensor, pool: Pool = (2, 2)) -> Tensor:
        return dropout(avg_pool2d(relu(self.bn1(self.conv1(x)), inplace=True), pool), 0.2, self.training)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut. Where the stride is 2 both branches begin with average pooling."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1, self.bn1 = convolution(before, after, 3), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = convolution(after, after, 3), nn.BatchNorm2d(after)
        self.downsample = None
        if stride == 2:
            self.downsample = nn.Sequential(nn.AvgPool2d(2), convolution(before, after, 1), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = x if self.stride == 1 else avg_pool2d(x, 2)
        x = dropout(relu(self.bn1(self.conv1(x)), inplace=True), 0.1, self.training)
        return relu(self.bn2(self.conv2(x)).add(shortcut), inplace=True)


class ResidualStages(nn.Module):
    """Four stages of residual blocks with 64, 128, 256 and 512 channels; the last three begin with a stride of 2."""

    def __init__(self, blocks: tuple[int, int, int, int]):
        super().__init__()
        channels = (64, 64, 128, 256, 512)
        for stage, (before, after) in enumerate(itertools.pairwise(channels)):
            first = ResidualBlock(before, after, 1 if stage == 0 else 2)
            rest = [ResidualBlock(after, after, 1) for _ in range(blocks[stage] - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.children():
            x = stage(x)
        return x


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, average over `stride`, narrow; added to the input where shapes agree.

    Unlike in MobileNetV2 as published the stride is an average pooling before the normalisation.
    """

    def __init__(self, before: int, after: int, stride: int, widening: int):
        super().__init__()
        self.shortcut = stride == 1 and before == after
        hidden = before * widening
        widen = [convolution(before, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
        self.conv = nn.Sequential(
            *(widen if widening > 1 else []),
            convolution(hidden, hidden, 3, groups=hidden),
            nn.AvgPool2d(stride),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            convolution(hidden, after, 1),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class WaveBlock(nn.Module):
    """Two convolutions over time, the second with dilation 2, then maximum pooling. (B, a, n) to (B, b, n // pool)."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(before, after, 3, padding=1, bias=False), nn.BatchNorm1d(after)
        self.conv2 = nn.Conv1d(after, after, 3, padding=2, dilation=2, bias=False)
        self.bn2 = nn.BatchNorm1d(after)

    def forward(self, x: Tensor, pool: int) -> Tensor:
        x = relu(self.bn1(self.conv1(x)), inplace=True)
        x = relu(self.bn2(self.conv2(x)), inplace=True)
        return max_pool1d(x, pool)


def fold_norms(net: nn.Module) -> None:
    """Merge, in place, each batch normalisation with the convolution registered before it; for evaluation alone.

    Average pooling between the two does not matter, as it is linear, sees no padding and keeps constants.
    """
    net.eval()
    for parent in list(net.modules()):
        before: nn.Conv1d | nn.Conv2d | None = None
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                before = module
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and before is not None:
                before.weight, before.bias = fuse_conv_bn_weights(
                    before.weight,
                    before.bias,
                    module.running_mean,
                    module.running_var,
                    module.eps,
                    module.weight,
                    module.bias,
                )
                setattr(parent, name, nn.Identity())
                before = None
            elif not isinstance(module, nn.AvgPool2d):
                before = None
