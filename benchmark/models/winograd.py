"""Winograd's minimal filtering for 3 x 3 convolutions: 36 products for 4 x 4 outputs where the definition needs 144.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, F(4 x 4, 3 x 3). In float32 it is about
1e-5 off, relative to the greatest output. On a CPU it pays where the matrix products outweigh the transforms of the
tiles: from some 128 channels on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.frozen_conv import is_plain, replace_layers

TILE = 4
_REACH = TILE + 2

# Inputs, kernels and outputs of F(4, 3) in one dimension, with the points 0, 1, -1, 2, -2 and infinity.
_INPUT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
_INPUT += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
_KERNEL = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
_OUTPUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]

_LEAST_INPUTS, _LEAST_OUTPUTS = 128, 256


class WinogradConv2d(nn.Module):
    """The function of a 3 x 3 convolution with stride 1 and padding 1, (B, C, H, W) to (B, C', H, W), for frozen use.

    Args:
        convolution: whose weights are taken over.

    Raises:
        ValueError: another kind of convolution.
    """

    kernel: Tensor
    bias: Tensor
    to_input: Tensor
    to_output: Tensor

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        if not is_suited(convolution):
            raise ValueError(f"{convolution} is not a 3 x 3 convolution of stride 1 and padding 1")
        weight = convolution.weight.detach().double()
        transform = torch.tensor(_KERNEL, dtype=torch.float64) / 24
        kernel = torch.einsum("ai,ocij,bj->abco", transform, weight, transform).flatten(0, 1)
        outputs = weight.shape[0]
        bias = torch.zeros(outputs) if convolution.bias is None else convolution.bias.detach()
        to_input, to_output = torch.tensor(_INPUT).float(), torch.tensor(_OUTPUT).float()
        self.register_buffer("kernel", kernel.float().contiguous())
        self.register_buffer("bias", bias.clone())
        self.register_buffer("to_input", torch.kron(to_input, to_input))
        self.register_buffer("to_output", torch.kron(to_output, to_output))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        x = functional.pad(x, (1, TILE * columns - width + 1, 1, TILE * rows - height + 1))
        x = x.permute(0, 2, 3, 1).contiguous()
        # Overlapping tiles, their 36 positions first and the channels last: each is a run of memory.
        tiles = x.unfold(1, _REACH, TILE).unfold(2, _REACH, TILE).permute(4, 5, 0, 1, 2, 3)
        tiles = self.to_input @ tiles.reshape(_REACH**2, -1)
        products = torch.bmm(tiles.view(_REACH**2, -1, channels), self.kernel)
        y = (self.to_output @ products.view(_REACH**2, -1)).view(TILE, TILE, batch, rows, columns, -1)
        y = y.permute(2, 3, 0, 4, 1, 5).reshape(batch, TILE * rows, TILE * columns, -1)
        return (y[:, :height, :width] + self.bias).permute(0, 3, 1, 2)


def is_suited(module: nn.Module) -> bool:
    """Whether `module` is a 3 x 3 convolution with stride 1, zero padding of 1 and one group."""
    return is_plain(module) and (module.kernel_size, module.padding) == ((3, 3), (1, 1))


def use_winograd(net: nn.Module) -> None:
    """Replace, in place, those convolutions of `net` that are faster this way on a CPU, in float32."""
    replace_layers(net, _is_wide, WinogradConv2d)


def _is_wide(module: nn.Module) -> bool:
    return is_suited(module) and module.in_channels >= _LEAST_INPUTS and module.out_channels >= _LEAST_OUTPUTS
