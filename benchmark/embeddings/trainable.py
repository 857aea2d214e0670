"""What fine-tuning needs of an embedding; a family that offers it has `trainable(config, weights) -> Trainable`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.embeddings.patches import Patches
from benchmark.embeddings.windows import Windows
from benchmark.models.freezing import Freezable


@dataclass(frozen=True)
class Trainable:
    """A network that can be trained on, and its front end, which is fixed.

    Attributes:
        sample_rate: Hz.
        dim: size of the read-out.
        inputs: `inputs(waveform, limit)`: waveform (samples,) float32 to what the network reads, (n, ...) with n >= 1,
            one for each frame of the embedding; at most `limit` of them, evenly spaced, if it is not None.
        pretrained: makes the network with its weights. Its freezing point is its own: `Freezable.intermediate`.
        fresh: `fresh(classes, inputs)` makes the network with random weights and so many outputs; statistics of its
            input come from `inputs` (n, ...), those of the training part.
        stackable: whether networks of several folds may run as one program.
    """

    sample_rate: int
    dim: int
    inputs: Callable[[np.ndarray, int | None], Tensor]
    pretrained: Callable[[], Freezable]
    fresh: Callable[[int, Tensor], Freezable]
    stackable: bool = True


def evenly(count: int, limit: int | None) -> np.ndarray:
    """Indices of at most `limit` of `count` things, the middles of equal stretches, as the probes choose frames."""
    kept = count if limit is None else min(count, limit)
    return ((2 * np.arange(kept) + 1) * count) // (2 * kept)


class Prepared(Freezable):
    """A network that reads raw patches (B, T, F).

    Args:
        net: the network.
        standardizer: what is done to the patches first.
        channels_first: whether the network reads (B, F, T).
    """

    def __init__(self, net: Freezable, standardizer: nn.Module, channels_first: bool):
        super().__init__()
        self.net, self.standardizer, self.channels_first = net, standardizer, channels_first
        self.dim = net.dim

    def prepare(self, x: Tensor) -> Tensor:
        """Raw patches (B, T, F) as the network reads them."""
        x = self.standardizer(x)
        return x.transpose(1, 2) if self.channels_first else x

    def intermediate(self) -> Sequence[nn.Module]:
        """Those of the network."""
        return self.net.intermediate()

    def stem(self, x: Tensor) -> Tensor:
        """Raw patches to what the fixed part of the network makes of them."""
        return self.net.stem(self.prepare(x))

    def rest(self, x: Tensor) -> Tensor:
        """From there to the read-out, (B, dim)."""
        return self.net.rest(x)

    def forward(self, x: Tensor) -> Tensor:
        """Raw patches to logits (B, classes)."""
        return self.net(self.prepare(x))


Part = Callable[[Any, Tensor], Tensor]
Late = Callable[[Any], Sequence[nn.Module | nn.Parameter]]


class Cut(Freezable):
    """Any network as one that is fine-tuned: what of it learns at the intermediate point, a read-out, an output.

    Everything outside of `late` is fixed there: layers, and parameters that belong to none.

    Args:
        net: the network.
        late: gives the modules or parameters of a network that still learn behind the freezing point; None: the network
            names it itself.
        before: a network and its inputs (B, ...) to what its fixed part makes of them; the inputs themselves where the
            network cannot be cut, so that all of it runs in every step.
        after: a network and what `before` gives to the read-out, (B, dim).
        dim: size of the read-out.
        classes: outputs of a linear layer behind it; 0: the network ends there.
    """

    def __init__(
        self,
        net: nn.Module,
        late: Late | None,
        before: Part,
        after: Part,
        dim: int,
        classes: int = 0,
    ):
        super().__init__()
        # What never learns, whatever is released.
        self._constants = tuple(name for name, parameter in net.named_parameters() if not parameter.requires_grad)
        self.net = net
        self.late, self.before, self.after, self.dim = late, before, after, dim
        self.output = nn.Linear(dim, classes) if classes else None

    def intermediate(self) -> Sequence[nn.Module | nn.Parameter]:
        """Everything outside of what learns behind the freezing point."""
        if self.late is None:
            return self.net.intermediate()
        return list(_outside(self.net, {id(part) for part in self.late(self.net)}))

    def freeze(self, point: str) -> None:
        super().freeze(point)
        for name in self._constants:
            self.net.get_parameter(name).requires_grad_(False)

    def stem(self, x: Tensor) -> Tensor:
        """Inputs to what `before` makes of them."""
        return self.before(self.net, x)

    def rest(self, x: Tensor) -> Tensor:
        """From there to the read-out, (B, dim)."""
        return self.after(self.net, x)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs to logits (B, classes)."""
        assert self.output is not None
        return self.output(self.embed(x))


def _outside(module: nn.Module, late: set[int]) -> Iterator[nn.Module | nn.Parameter]:
    """The greatest parts of `module` that have none of `late` in them."""
    for parameter in module.parameters(recurse=False):
        if id(parameter) not in late:
            yield parameter
    for child in module.children():
        if id(child) in late:
            continue
        inner = {id(part) for part in (*child.modules(), *child.parameters())}
        if inner & late:
            yield from _outside(child, late)
        else:
            yield child


def uncut(net: nn.Module, x: Tensor) -> Tensor:
    """The inputs: `before` of a network that is run as a whole."""
    return x


def window_inputs(
    windows: Windows, front: Callable[[Tensor], Tensor] | None = None
) -> Callable[[np.ndarray, int | None], Tensor]:
    """What `Trainable.inputs` wants: windows of a clip (n, samples), or what `front` makes of each of them."""

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        chosen = evenly(windows.count(len(waveform)), limit)
        cut = torch.from_numpy(np.concatenate([windows.cut(waveform, i, i + 1) for i in chosen.tolist()]))
        with torch.no_grad():
            return cut if front is None else torch.cat([front(window[None]) for window in cut])

    return inputs


def clip_patches(patches: Callable[[np.ndarray], Patches]) -> Callable[[np.ndarray, int | None], Tensor]:
    """What `Trainable.inputs` wants, of an embedding's own patches."""

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        with torch.no_grad():
            found = patches(waveform)
            return torch.cat([found.take(i, i + 1) for i in evenly(found.count, limit).tolist()])

    return inputs


@dataclass(frozen=True)
class Design:
    """How a network of the zoo is cut: see `Cut`.

    Attributes:
        late, before, after, dim: as there.
    """

    late: Late | None
    after: Part
    dim: int
    before: Part = uncut

    def of(self, net: nn.Module, classes: int = 0) -> Cut:
        """A network with its freezing point."""
        return Cut(net, self.late, self.before, self.after, self.dim, classes)


def zoo_trainable(
    sample_rate: int,
    inputs: Callable[[np.ndarray, int | None], Tensor],
    design: Design,
    fresh: Callable[[], nn.Module],
    loaded: Callable[[], nn.Module],
) -> Trainable:
    """What training needs of a network that was not made for it here; it keeps the statistics of its input.

    Args:
        sample_rate, inputs: as in `Trainable`.
        design: of the network.
        fresh: makes the network with random weights.
        loaded: makes the network with its weights.
    """
    return Trainable(
        sample_rate,
        design.dim,
        inputs,
        lambda: design.of(loaded()),
        lambda classes, _: design.of(fresh(), classes),
        stackable=False,
    )


def own_design(dim: int) -> Design:
    """The design of networks that name their freezing point themselves."""
    return Design(None, _rest, dim, _stem)


def _stem(net: Freezable, x: Tensor) -> Tensor:
    return net.stem(x)


def _rest(net: Freezable, x: Tensor) -> Tensor:
    return net.rest(x)
