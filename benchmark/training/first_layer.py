"""The first convolution of a network with its normalisation, ReLU and pooling as one layer, where it is trained on a CPU.

Its maps are the largest of the network and its inputs the smallest: of one channel, from whose patches all follows that the
normalisation has to know (`benchmark.kernels.first_layer`). A convolution that can do so hands its input on, and the
normalisation behind it does both; names, parameters and statistics stay. In evaluation, with frozen parameters and for inputs
that have a gradient the two are what they were.

Measured with one thread, a step of 64 patches: 154 ms become 138 in INA's topology, 88 ms 82 in the VGG-like network.
"""

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.kernels.first_layer import FirstLayer, Moments, Shape
from benchmark.models.filtered_conv import pays
from benchmark.training.fused import FusedNorm, exact, neighbours, windows


class FirstConv2d(nn.Conv2d):
    """A convolution of one channel that leaves its work to the `norm` behind it where that can do it."""

    norm: "FirstNorm"

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 1, H, W) to maps, or as they are."""
        return x if self._is_fast(x) else super().forward(x)

    def _is_fast(self, x: Tensor) -> bool:
        parameters = (self.weight, self.norm.weight, self.norm.bias)
        if not (
            self.training
            and self.norm.training
            and torch.is_grad_enabled()
            and not x.requires_grad
            and all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in parameters)
            and x.ndim == 4
            and x.shape[1] == 1
            and pays(x)
        ):
            return False
        # PyTorch's own errors: an image is no smaller than the kernel, one value has no variance, and there is a window.
        shape = _shape(x, self)
        sizes = windows(_maps(x, shape, self.out_channels), self.norm.pool) or (1,)
        return min(shape.rows, shape.columns, *sizes) > 0 and len(x) * shape.rows * shape.columns > 1


class FirstNorm(FusedNorm):
    """A `FusedNorm` that also convolves; `convolution` is the one in front of it."""

    convolution: FirstConv2d

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), or images (B, 1, H, W) that the convolution handed on, to maps."""
        # The convolution has several channels, so that this is its input.
        if x.shape[1] != 1:
            return super().forward(x)
        weight, bias = self.convolution.weight, self.convolution.bias
        shape = _shape(x, self.convolution)
        pool = windows(_maps(x, shape, len(weight)), self.pool)
        layer = FirstLayer(x.squeeze(1), shape, len(weight), pool)
        taps, moments = exact(weight).reshape(len(weight), -1), layer.moments()
        mean = taps @ moments.mean
        var = np.maximum(np.einsum("ci,ij,cj->c", taps, moments.covariance, taps), 0.0)
        offset = 0.0 if bias is None else exact(bias)
        self._follow(mean + taps.sum(1) * moments.centre + offset, var, moments.count)
        return _First.apply(weight, bias, self.weight, self.bias, layer, moments, mean, np.sqrt(var + self.eps))


class _First(torch.autograd.Function):
    """Weight (C, 1, h, w) and bias of a convolution, those of the normalisation (C,), to maps (B, C, H, W).

    `mean` and `std` (C,) are of what the convolution without its bias makes of centred patches.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        gain: Tensor,
        shift: Tensor,
        layer: FirstLayer,
        moments: Moments,
        mean: np.ndarray,
        std: np.ndarray,
    ) -> Tensor:
        scale = exact(gain) / std
        folded = np.vstack([exact(weight).reshape(len(weight), -1).T * scale, exact(shift) - mean * scale])
        y, kept = layer.forward(torch.from_numpy(folded).float())
        ctx.layer, ctx.moments, ctx.std, ctx.has_bias = layer, moments, std, bias is not None
        ctx.save_for_backward(weight, gain, kept)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, gain, kept = ctx.saved_tensors
        given = gradient.permute(0, 2, 3, 1).contiguous()
        sums = ctx.layer.backward(kept, given)
        total = sums[-1]
        # Sums over positions of gradients times patches less the mean of all, and times normalised outputs.
        patches = sums[:-1].T - np.outer(total, ctx.moments.mean)
        taps = exact(weight).reshape(len(weight), -1)
        by_gain = (taps * patches).sum(1) / ctx.std
        by_taps = patches - (by_gain / ctx.std)[:, None] * (taps @ ctx.moments.covariance)
        by_taps *= (exact(gain) / ctx.std)[:, None]
        by_weight = torch.from_numpy(by_taps).float().view(weight.shape)
        # What is added before a normalisation has no effect.
        by_bias = torch.zeros_like(gain) if ctx.has_bias else None
        return by_weight, by_bias, torch.from_numpy(by_gain).float(), torch.from_numpy(total).float(), *[None] * 4


def fuse_first(net: nn.Module) -> None:
    """Let fused normalisations of `net` also do the convolution of one channel in front of them.

    To be called behind `fuse_norms`. Names and parameters stay, and modules are the same objects.
    """
    uses = Counter(id(module) for _, module in net.named_modules(remove_duplicate=False))
    for convolution, norm in neighbours(net):
        # What is in two places cannot do something else in one of them.
        if type(norm) is FusedNorm and _fits(convolution, norm) and uses[id(convolution)] == uses[id(norm)] == 1:
            convolution.__class__, norm.__class__ = FirstConv2d, FirstNorm
            # Not as modules, which would be in the state twice.
            convolution.__dict__["norm"], norm.__dict__["convolution"] = norm, convolution


def _fits(module: nn.Module, norm: FusedNorm) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and (module.in_channels, module.stride, module.dilation) == (1, (1, 1), (1, 1))
        and module.out_channels == norm.num_features > 1
    )


def _shape(x: Tensor, convolution: nn.Conv2d) -> Shape:
    size = convolution.kernel_size
    if convolution.padding == "same":
        # An odd rest is padded behind.
        total = size[0] - 1, size[1] - 1
        first = total[0] // 2, total[1] // 2
    else:
        first = (0, 0) if convolution.padding == "valid" else convolution.padding
        total = 2 * first[0], 2 * first[1]
    outputs = x.shape[2] + total[0] - size[0] + 1, x.shape[3] + total[1] - size[1] + 1
    return Shape(*size, *outputs, *first)


def _maps(x: Tensor, shape: Shape, channels: int) -> tuple[int, int, int, int]:
    return len(x), channels, shape.rows, shape.columns
