"""Adam for a stack of members."""

import itertools
from collections.abc import Sequence
from typing import Protocol

import torch
from torch.optim.adam import adam


class Stack(Protocol):
    """What is optimised: parameters and gradient (M, P)."""

    flat: torch.Tensor
    gradient: torch.Tensor


class StackedAdam:
    """Adam (Kingma & Ba 2015) over a stack whose members may have several learning rates; members may leave."""

    def __init__(self, net: Stack, rates: Sequence[float]):
        self.rates = list(rates)
        self.first, self.second = torch.zeros_like(net.flat), torch.zeros_like(net.flat)
        self.count = torch.zeros((), dtype=torch.float32, device=net.flat.device)
        self._bind(net)

    def _bind(self, net: Stack) -> None:
        """Cut the stack into runs of members with one learning rate."""
        changes = [i for i in range(1, len(self.rates)) if self.rates[i] != self.rates[i - 1]]
        self.runs = []
        for start, end in itertools.pairwise([0, *changes, len(self.rates)]):
            parts = [[tensor[start:end]] for tensor in (net.flat, net.gradient, self.first, self.second)]
            self.runs.append((self.rates[start], parts, [self.count.clone()]))

    def keep(self, stay: Sequence[int], members: torch.Tensor, net: Stack) -> None:
        """Go on with some members, whose parameters `net` holds."""
        self.count = self.runs[0][2][0]
        self.rates = [self.rates[number] for number in stay]
        self.first, self.second = self.first[members], self.second[members]
        self._bind(net)

    def step(self, scale: float = 1.0) -> None:
        """Update all parameters from the gradients, with learning rates times `scale`."""
        for rate, parts, count in self.runs:
            adam(
                *parts,
                max_exp_avg_sqs=[],
                state_steps=count,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate * scale,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
