"""Many small multilayer perceptrons of one shape as one stack of matrix products, with a hand-written backward pass."""

import itertools
from collections.abc import Sequence

import torch


class StackedMlp:
    """M perceptrons with ReLU layers, all parameters in one buffer (M, P) that an optimiser can step through at once.

    Attributes:
        sizes: Units of each layer, inputs first.
        flat: (M, P) parameters.
        gradient: (M, P), filled by `backward`.
    """

    def __init__(self, sizes: Sequence[int], flat: torch.Tensor):
        """Wrap parameters (M, P)."""
        self.sizes, self.flat = list(sizes), flat
        self.gradient = torch.zeros_like(flat)
        self.layers = self._views(flat)
        self.gradient_layers = self._views(self.gradient)

    @staticmethod
    def initial(sizes: Sequence[int], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Draw parameters (M, P): Glorot and Bengio's uniform weights, zero biases, each member from its generator."""
        members = []
        for generator in generators:
            parts = []
            for fan_in, fan_out in itertools.pairwise(sizes):
                bound = (6 / (fan_in + fan_out)) ** 0.5
                parts += [(torch.rand(fan_in * fan_out, generator=generator) * 2 - 1) * bound, torch.zeros(fan_out)]
            members.append(torch.cat(parts))
        return torch.stack(members)

    def _views(self, flat: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        views, start = [], 0
        for fan_in, fan_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            weight = flat[:, start : start + fan_in * fan_out].view(len(flat), fan_in, fan_out)
            start += fan_in * fan_out
            views.append((weight, flat[:, None, start : start + fan_out]))
            start += fan_out
        return views

    def forward(self, x: torch.Tensor, masks: Sequence[torch.Tensor] = ()) -> list[torch.Tensor]:
        """Compute inputs of every layer and, last, logits for x (M, B, F); masks (M, B, H) multiply hidden units."""
        values = [x]
        for number, (weight, bias) in enumerate(self.layers):
            z = torch.baddbmm(bias, values[-1], weight)
            if number < len(self.layers) - 1:
                z.relu_()
                if masks:
                    z.mul_(masks[number])
            values.append(z)
        return values

    def backward(self, values: list[torch.Tensor], delta: torch.Tensor, masks: Sequence[torch.Tensor] = ()) -> None:
        """Fill `gradient` from the gradient in the logits (M, B, C)."""
        for number in range(len(self.layers) - 1, -1, -1):
            weight, bias = self.gradient_layers[number]
            torch.bmm(values[number].transpose(1, 2), delta, out=weight)
            torch.sum(delta, 1, keepdim=True, out=bias)
            if number:
                active = values[number] > 0
                delta = torch.bmm(delta, self.layers[number][0].transpose(1, 2)).mul_(active)
                if masks:
                    delta.mul_(masks[number - 1])
