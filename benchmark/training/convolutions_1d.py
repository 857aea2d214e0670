"""Short 1-D convolutions and gates of small networks, where these are trained on a CPU.

Inside, maps are (C, T, B), the batch innermost. A tap of a convolution is then a matrix product, or for a depthwise one a
multiple, of whole rows of maps shifted by so many numbers: no windows are laid out, and zeros in front (causal layers)
are places that are left out. A block of gates is one function, so that its maps stay in that order.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.kernels import shifted as kernels
from benchmark.models.swishnet import CausalGate, SwishNet
from benchmark.training.shifted import Shape, flat, gradients, maps_of

# Of the weight of a dense convolution in a gate; the wide SwishNet has 12288.
_MOST_PRODUCTS = 1 << 14


class Branch(NamedTuple):
    """Convolutions one after the other, each with its weight and its bias, the first one behind `past` zeros."""

    past: int
    convs: tuple[nn.Conv1d, ...]

    def shapes(self, length: int, batch: int) -> list[Shape]:
        """Of the convolutions, over so many frames of so many examples."""
        found = []
        for number, conv in enumerate(self.convs):
            past = 0 if number else self.past
            found.append(Shape(conv.kernel_size[0], conv.dilation[0], past, length, batch, conv.groups > 1))
            length = found[-1].outputs
        return found


class TrainedConv1d(nn.Conv1d):
    """A depthwise convolution with shifted rows; made of one by `shift_convolutions`."""

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, C, T) to maps."""
        branch = Branch(0, (self,))
        if not _is_fast(x, branch):
            return super().forward(x)
        return _Convolved.apply(x, branch.shapes(x.shape[2], x.shape[0])[0], self.weight, self.bias)


class TrainedGate(CausalGate):
    """A gate whose maps keep their order in memory; made of one by `shift_convolutions`."""

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, C, T) to maps."""
        branch = _branch(self)
        return _gated(x, [branch]) if _is_fast(x, branch) else super().forward(x)


class TrainedBranches(nn.Module):
    """Two gates side by side over the same inputs; made of a block of SwishNet by `shift_convolutions`."""

    upper: CausalGate
    lower: CausalGate

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, C, T) to maps of both."""
        branches = [_branch(self.upper), _branch(self.lower)]
        if not all(_is_fast(x, branch) for branch in branches):
            return torch.cat([self.upper(x), self.lower(x)], dim=1)
        return _gated(x, branches)


def shift_convolutions(net: nn.Module) -> None:
    """Run those gates and 1-D convolutions of `net` with shifted rows that gain by it; parameters and names stay.

    These are gates and blocks of SwishNet up to some size, and depthwise convolutions: a dense one by itself takes as long
    as PyTorch's, or longer.
    """
    for module in list(net.modules()):
        # The same objects with another forward: whoever holds one, or its parameters, goes on holding it.
        if type(module) is CausalGate and _is_suited(_branch(module)):
            module.__class__ = TrainedGate
    for module in list(net.modules()):
        for block in (module.block1, module.block2, module.block3) if type(module) is SwishNet else ():
            if type(block.upper) is TrainedGate and type(block.lower) is TrainedGate:
                block.__class__ = TrainedBranches
        if type(module) is nn.Conv1d and _is_plain(module) and module.groups > 1:
            module.__class__ = TrainedConv1d


def _is_suited(branch: Branch) -> bool:
    products = (conv.in_channels * conv.out_channels * conv.kernel_size[0] // conv.groups for conv in branch.convs)
    exact = all(type(conv) is nn.Conv1d and _is_plain(conv) for conv in branch.convs)
    return exact and branch.convs[-1].out_channels % 2 == 0 and max(products) <= _MOST_PRODUCTS


def _is_plain(conv: nn.Conv1d) -> bool:
    plain = (conv.stride, conv.padding, conv.padding_mode) == ((1,), (0,), "zeros")
    return plain and (conv.groups == 1 or conv.groups == conv.in_channels == conv.out_channels)


def _branch(gate: CausalGate) -> Branch:
    return Branch(gate.past, tuple(gate.conv) if isinstance(gate.conv, nn.Sequential) else (gate.conv,))


def _is_fast(x: Tensor, branch: Branch) -> bool:
    first = branch.convs[0]
    return (
        x.ndim == 3
        and x.dtype == torch.float32 == first.weight.dtype
        and x.device.type == "cpu" == first.weight.device.type
        and x.shape[0] > 0
        and x.shape[1] == first.in_channels
        and x.shape[2] + branch.past > (first.kernel_size[0] - 1) * first.dilation[0]
        and not torch.is_autocast_enabled("cpu")
    )


def _laid(x: Tensor) -> Tensor:
    """Maps (B, C, T) as (C, T, B), contiguous."""
    x = x.detach()
    batch, channels, length = x.shape
    rows = x.transpose(1, 2)
    if not rows.is_contiguous() or channels == 1:
        return x.permute(1, 2, 0).contiguous()
    laid = torch.empty(channels, length, batch)
    kernels.batch_innermost(flat(rows), flat(laid), batch, length, channels)
    return laid


class _Convolved(torch.autograd.Function):
    """Inputs (B, C, T), weight and bias or None to maps (B, O, outputs)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: Shape, weight: Tensor, bias: Tensor | None) -> Tensor:
        laid = _laid(x)
        ctx.shape = shape
        ctx.save_for_backward(laid, weight)
        return maps_of(laid, shape, weight, bias).permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        laid, weight = ctx.saved_tensors
        of_x, need_weight, need_bias = ctx.needs_input_grad[0], *ctx.needs_input_grad[2:]
        found = gradients(laid, ctx.shape, weight, _laid(slope), (of_x, need_weight, need_bias))
        return None if found[0] is None else found[0].permute(2, 0, 1), None, *found[1:]


def _gated(x: Tensor, branches: Sequence[Branch]) -> Tensor:
    shapes = [branch.shapes(x.shape[2], x.shape[0]) for branch in branches]
    parameters = [part for branch in branches for conv in branch.convs for part in (conv.weight, conv.bias)]
    return _Gates.apply(x, shapes, *parameters)


class _Gates(torch.autograd.Function):
    """Inputs (B, C, T) through branches of convolutions, each with a gate behind, to the maps of all (B, F, outputs).

    A gate is the sigmoid of the first half of maps times the tanh of the second. The parameters are weights and biases
    of the convolutions, in their order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, shapes: Sequence[Sequence[Shape]], *parameters: Tensor | None) -> Tensor:
        laid = _laid(x)
        weights, biases = iter(parameters[::2]), iter(parameters[1::2])
        read, opened = [], []
        for branch in shapes:
            maps = laid
            for shape in branch:
                read.append(maps)
                maps = maps_of(maps, shape, next(weights), next(biases))
            opened.append(maps)
        halves = [maps.shape[0] // 2 for maps in opened]
        out = torch.empty(sum(halves), *opened[0].shape[1:])
        ctx.starts = [sum(halves[:number]) * out[0].numel() for number in range(len(halves))]
        for maps, start in zip(opened, ctx.starts, strict=True):
            kernels.gate(flat(maps), flat(out), start, maps.numel() // 2)
        ctx.shapes, ctx.layers = shapes, len(read)
        ctx.save_for_backward(*read, *opened, *parameters[::2])
        return out.permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        saved, n = ctx.saved_tensors, ctx.layers
        read, opened, weights = saved[:n], saved[n:-n], saved[-n:]
        needs_x, needs = ctx.needs_input_grad[0], ctx.needs_input_grad[2:]
        slopes = flat(_laid(slope))
        of_x, of_parameters, last = None, [None] * (2 * n), n
        for branch, maps, start in reversed(list(zip(ctx.shapes, opened, ctx.starts, strict=True))):
            down = torch.empty_like(maps)
            kernels.gate_gradient(flat(maps), slopes, flat(down), start, maps.numel() // 2)
            first = last - len(branch)
            for at in range(last - 1, first - 1, -1):
                # What lies before a layer: the inputs, or layers of the branch.
                needed = needs_x or any(needs[2 * first : 2 * at])
                of = gradients(read[at], branch[at - first], weights[at], down, (needed, *needs[2 * at : 2 * at + 2]))
                down, of_parameters[2 * at], of_parameters[2 * at + 1] = of
            last = first
            if needs_x:
                of_x = down if of_x is None else of_x.add_(down)
        return None if of_x is None else of_x.permute(2, 0, 1), None, *of_parameters
