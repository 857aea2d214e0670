"""Convolutions of a frozen network on a processor, as matrix products where that is faster.

Convolution kernels lose most of their speed on maps of a few columns, and on a single input channel: the last blocks of
Cnn14, whose maps are 4 and 2 wide, take more than half of its time. There the patches are laid out as rows of a matrix,
which costs little and lets the matrix product run at full speed.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

# Up to this width the product is faster, measured on x86 with AVX-512.
_NARROW = 4

Kind = TypeVar("Kind", bound=nn.Conv2d)


class FrozenConv2d(nn.Conv2d):
    """A convolution that keeps the size of its maps; results in channels-last layout. For evaluation alone."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "FrozenConv2d":
        """The same convolution with the same weights, its kernel in channels-last layout."""
        return frozen(cls, convolution)

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


def frozen(kind: type[Kind], convolution: nn.Conv2d) -> Kind:
    """A convolution of another kind, of stride 1, with the weights of `convolution`, channels last and without gradients."""
    with torch.device("meta"):
        made = kind(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,
            padding=convolution.padding,
            bias=convolution.bias is not None,
        )
    weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
    made.weight = nn.Parameter(weight, requires_grad=False)
    if convolution.bias is not None:
        made.bias = nn.Parameter(convolution.bias.detach(), requires_grad=False)
    return made.eval()


def replace_layers(net: nn.Module, chosen: Callable[[nn.Module], bool], made: Callable[[nn.Conv2d], nn.Module]) -> None:
    """Replace, in place, the chosen layers of `net`."""
    for name, module in net.named_children():
        if chosen(module):
            setattr(net, name, made(module))
        else:
            replace_layers(module, chosen, made)


def is_plain(module: nn.Module) -> bool:
    """Whether `module` is a convolution with stride 1, zero padding by number, no dilation and one group."""
    return (
        isinstance(module, nn.Conv2d)
        and module.padding_mode == "zeros"
        and isinstance(module.padding, tuple)
        and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1)
    )


def freeze_convolutions(net: nn.Module) -> None:
    """Replace, in place, the convolutions of `net` that keep the size of their maps and see all channels."""
    replace_layers(net, lambda module: type(module) is nn.Conv2d and _same(module), FrozenConv2d.of)


def _same(convolution: nn.Conv2d) -> bool:
    sizes = zip(convolution.kernel_size, convolution.padding, strict=True)
    return is_plain(convolution) and all(size > 1 and size == 2 * padding + 1 for size, padding in sizes)
