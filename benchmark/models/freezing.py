"""The points at which a network can be frozen for transfer (Kehling & Cano 2021: FZ, IN, FT).

FZ: everything is fixed, only a head behind the read-out learns. IN: what the network names as its intermediate point is
fixed, the rest learns. FT: nothing is fixed. Fixed layers stay in evaluation mode whatever `train` is told, so that
neither dropout nor the running statistics of batch normalisation move in them. So what they give for an input is always
the same, and training at IN needs it once: `stem` ends where IN ends, `rest` goes on from there to the read-out. Where a
network cannot be cut in two, its stem gives the input.
"""

import abc
from collections.abc import Sequence

from torch import Tensor, nn

FREEZING_POINTS = ("FZ", "IN", "FT")


class Freezable(nn.Module, abc.ABC):
    """A network that can be frozen at the points FZ, IN and FT; a fresh one is at FT."""

    def __init__(self) -> None:
        super().__init__()
        self._fixed: tuple[nn.Module | nn.Parameter, ...] = ()

    @abc.abstractmethod
    def intermediate(self) -> Sequence[nn.Module | nn.Parameter]:
        """The parts that the intermediate point IN fixes."""

    @abc.abstractmethod
    def stem(self, x: Tensor) -> Tensor:
        """Inputs to what the parts of `intermediate` make of them."""

    @abc.abstractmethod
    def rest(self, x: Tensor) -> Tensor:
        """What `stem` gives to the read-out, (B, dim)."""

    def embed(self, x: Tensor) -> Tensor:
        """Inputs to the read-out, (B, dim)."""
        return self.rest(self.stem(x))

    def freeze(self, point: str) -> None:
        """Fix the parameters up to `point`, one of FZ, IN, FT, and release all others.

        Raises:
            ValueError: another point.
        """
        if point not in FREEZING_POINTS:
            raise ValueError(f"freezing point {point!r}; it must be one of {', '.join(FREEZING_POINTS)}")
        self._fixed = {"FZ": tuple(self.children()), "IN": tuple(self.intermediate()), "FT": ()}[point]
        self.requires_grad_(True)
        for part in self._fixed:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Freezable":
        super().train(mode)
        for part in self._fixed:
            if isinstance(part, nn.Module):
                part.eval()
        return self
