"""Convolutions of a frozen network on a processor, as matrix products where that is faster.

Convolution kernels lose most of their speed on maps of a few columns, and on a single input channel: the last blocks of
Cnn14, whose maps are 4 and 2 wide, take more than half of its time. There the patches are laid out as rows of a matrix,
which costs little and lets the matrix product run at full speed.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

# Up to this width the product is faster, measured on x86 with AVX-512.
_NARROW = 4


class FrozenConv2d(nn.Conv2d):
    """A convolution that keeps the size of its maps; results in channels-last layout. For evaluation alone."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "FrozenConv2d":
        """The same convolution with the same weights, its kernel in channels-last layout."""
        with torch.device("meta"):
            frozen = cls(
                convolution.in_channels,
                convolution.out_channels,
                convolution.kernel_size,
                padding=convolution.padding,
                bias=convolution.bias is not None,
            )
        frozen.weight = nn.Parameter(
            convolution.weight.detach().contiguous(memory_format=torch.channels_last), requires_grad=False
        )
        if convolution.bias is not None:
            frozen.bias = nn.Parameter(convolution.bias.detach(), requires_grad=False)
        return frozen.eval()

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or (x.shape[3] > _NARROW and self.in_channels > 1):
            return super().forward(x)
        rows, columns = self.kernel_size
        above, left = self.padding
        x = pad(x, (left, left, above, above)).permute(0, 2, 3, 1)
        # (B, H, W, rows, columns, C), in the order that the kernel lies in memory.
        patches = x.unfold(1, rows, 1).unfold(2, columns, 1).permute(0, 1, 2, 4, 5, 3)
        kernel = self.weight.permute(0, 2, 3, 1).flatten(1)
        return linear(patches.flatten(3), kernel, self.bias).permute(0, 3, 1, 2)


def freeze_convolutions(net: nn.Module) -> None:
    """Replace, in place, the convolutions of `net` that keep the size of their maps and see all channels."""
    for parent in list(net.modules()):
        for name, module in list(parent.named_children()):
            if type(module) is nn.Conv2d and _same(module):
                setattr(parent, name, FrozenConv2d.of(module))


def _same(convolution: nn.Conv2d) -> bool:
    plain = convolution.stride == (1, 1) and convolution.dilation == (1, 1) and convolution.groups == 1
    sizes = zip(convolution.kernel_size, convolution.padding, strict=True)
    return plain and all(size > 1 and size == 2 * padding + 1 for size, padding in sizes)
