"""Many classification heads of one shape as one stack, with batch or layer normalisation and a hand-written backward pass.

Attention over frames is one learned query a head: a clip is the mean of its frames, weighted by the softmax of their
products with the query, which begins at zero (all frames alike).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

_EPS = 1e-5
_MOMENTUM = 0.1


@dataclass(frozen=True)
class Shape:
    """Shape of a head.

    Attributes:
        layers: L hidden states that lie side by side in the features and are mixed by learned weights; 1: no mix.
        dim: Features of one hidden state.
        hidden: Units of each hidden layer.
        classes: C.
        layer_norm: Whether features go through a LayerNorm first.
        batch_norm: Whether hidden layers have BatchNorm1d before dropout and ReLU.
        attention: Whether an item is a sequence of frames, (T, F) in place of (F,), that are pooled by attention. Frames
            of NaN only fill up.
    """

    layers: int
    dim: int
    hidden: tuple[int, ...]
    classes: int
    layer_norm: bool
    batch_norm: bool
    attention: bool = False

    @property
    def pieces(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the parameters, in the order in which they lie in a member's vector."""
        pieces: list[tuple[str, tuple[int, ...]]] = []
        if self.layers > 1:
            pieces.append(("mix", (self.layers,)))
        if self.attention:
            pieces.append(("query", (self.dim,)))
        if self.layer_norm:
            pieces += [("norm_scale", (self.dim,)), ("norm_shift", (self.dim,))]
        width = self.dim
        for number, units in enumerate(self.hidden):
            pieces += [(f"weight{number}", (width, units)), (f"bias{number}", (units,))]
            if self.batch_norm:
                pieces += [(f"scale{number}", (units,)), (f"shift{number}", (units,))]
            width = units
        return [*pieces, ("weight", (width, self.classes)), ("bias", (self.classes,))]

    def initial(self, generator: torch.Generator, how: str) -> torch.Tensor:
        """Draw parameters (P,): weights as PyTorch does, or Glorot's uniform or normal; biases as PyTorch does."""
        parts, width, gain = [], self.dim, 1.0
        for name, shape in self.pieces:
            if name in ("mix", "query", "norm_shift") or name.startswith("shift"):
                parts.append(torch.zeros(shape))
            elif name == "norm_scale" or name.startswith("scale"):
                parts.append(torch.ones(shape))
            elif name.startswith("weight"):
                width, units = shape
                if how == "xavier_normal":
                    parts.append(torch.randn(shape, generator=generator) * gain * (2 / (width + units)) ** 0.5)
                else:
                    bound = gain * (6 / (width + units)) ** 0.5 if how == "xavier_uniform" else width**-0.5
                    parts.append((torch.rand(shape, generator=generator) * 2 - 1) * bound)
                # After a ReLU, as torch.nn.init.calculate_gain has it.
                gain = 2**0.5
            else:
                parts.append((torch.rand(shape, generator=generator) * 2 - 1) * width**-0.5)
        return torch.cat([part.reshape(-1) for part in parts])


class StackedHead:
    """M heads of one shape.

    Attributes:
        shape: Theirs.
        flat: (M, P) parameters.
        gradient: (M, P), filled by `backward`.
        running: (M, 2, H) running mean and variance of all batch normalisations, side by side.
    """

    def __init__(self, shape: Shape, flat: torch.Tensor, running: torch.Tensor | None = None):
        self.shape, self.flat = shape, flat
        self.gradient = torch.zeros_like(flat)
        units = sum(shape.hidden) if shape.batch_norm else 0
        if running is None:
            running = torch.stack([flat.new_zeros(len(flat), units), flat.new_ones(len(flat), units)], 1)
        self.running = running
        self._p, self._g = self._views(flat), self._views(self.gradient)

    def _views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        views, start = {}, 0
        for name, shape in self.shape.pieces:
            size = 1
            for length in shape:
                size *= length
            piece = flat[:, start : start + size]
            views[name] = piece.view(len(flat), *shape) if len(shape) == 2 else piece
            start += size
        return views

    def take(self, members: torch.Tensor) -> "StackedHead":
        """Keep some members."""
        return StackedHead(self.shape, self.flat[members], self.running[members])

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (M, n, C) of x (M, n, F), of sequences (M, n, T, F), outside training."""
        p, x = self._p, self._enter(x).entered
        start = 0
        for number, units in enumerate(self.shape.hidden):
            x = torch.baddbmm(p[f"bias{number}"][:, None], x, p[f"weight{number}"])
            if self.shape.batch_norm:
                mean, variance = self.running[:, :, start : start + units].unbind(1)
                factor = p[f"scale{number}"] / (variance + _EPS).sqrt()
                x.sub_(mean[:, None]).mul_(factor[:, None]).add_(p[f"shift{number}"][:, None])
                start += units
            x.relu_()
        return torch.baddbmm(p["bias"][:, None], x, p["weight"])

    def _enter(self, x: torch.Tensor) -> "_Entry":
        """Mix layers, pool frames and normalise."""
        raw = x
        if self.shape.layers > 1:
            mix = torch.softmax(self._p["mix"], 1)
            x = torch.einsum("ml,m...ld->m...d", mix, x.unflatten(-1, (self.shape.layers, self.shape.dim)))
        frames, share = x, None
        if self.shape.attention:
            filling = x[..., :1].isnan()
            frames = x.masked_fill(filling, 0.0)
            said = torch.einsum("mbtd,md->mbt", frames, self._p["query"])
            share = torch.softmax(said.masked_fill(filling[..., 0], -torch.inf), 2)[..., None]
            x = (share * frames).sum(2)
        if not self.shape.layer_norm:
            return _Entry(x, raw, frames, share, x, None, None)
        centred = x - x.mean(2, keepdim=True)
        rate = (centred.square().mean(2, keepdim=True) + _EPS).rsqrt()
        unit = centred * rate
        entered = unit * self._p["norm_scale"][:, None] + self._p["norm_shift"][:, None]
        return _Entry(entered, raw, frames, share, x, unit, rate)

    def train_step(
        self,
        x: torch.Tensor,
        mass: torch.Tensor,
        delta_of: "DeltaOf",
        masks: Sequence[torch.Tensor] = (),
    ) -> None:
        """Fill `gradient` from a batch, and move the running statistics.

        Args:
            x: (M, B, F), of sequences (M, B, T, F).
            mass: (M, B, 1) one over the number of a member's rows, 0 where a row only fills up.
            delta_of: maps logits (M, B, C) to the gradient in them.
            masks: (M, B, H) of each hidden layer, that multiply what leaves its normalisation.
        """
        p, g = self._p, self._g
        entry = self._enter(x)
        # Rows that only fill up come last; they are in no statistics.
        rows = (mass[..., 0] > 0).sum(1).tolist()
        values, normed = [entry.entered], []
        start = 0
        for number, units in enumerate(self.shape.hidden):
            z = torch.baddbmm(p[f"bias{number}"][:, None], values[-1], p[f"weight{number}"])
            if self.shape.batch_norm:
                normed.append(_Normed(z, p[f"scale{number}"], rows))
                z = normed[-1].forward(p[f"shift{number}"], self.running[:, :, start : start + units])
                start += units
            if masks:
                z *= masks[number]
            values.append(z.relu_())
        delta = delta_of(torch.baddbmm(p["bias"][:, None], values[-1], p["weight"]))
        torch.bmm(values[-1].transpose(1, 2), delta, out=g["weight"])
        torch.sum(delta, 1, out=g["bias"])
        last = "weight"
        for number in range(len(self.shape.hidden) - 1, -1, -1):
            delta = torch.bmm(delta, p[last].transpose(1, 2))
            delta = torch.ops.aten.threshold_backward(delta, values[number + 1], 0)
            if masks:
                delta *= masks[number]
            if self.shape.batch_norm:
                normed[number].backward(delta, g[f"scale{number}"], g[f"shift{number}"])
            torch.bmm(values[number].transpose(1, 2), delta, out=g[f"weight{number}"])
            torch.sum(delta, 1, out=g[f"bias{number}"])
            last = f"weight{number}"
        if entry.unit is not None or entry.share is not None or self.shape.layers > 1:
            self._leave(entry, torch.bmm(delta, p[last].transpose(1, 2)))

    def _leave(self, entry: "_Entry", delta: torch.Tensor) -> None:
        """Fill the gradient of what `_enter` learns from the gradient (M, B, F) in what it gave."""
        p, g = self._p, self._g
        if entry.unit is not None:
            unit = entry.unit
            torch.sum(delta * unit, 1, out=g["norm_scale"])
            torch.sum(delta, 1, out=g["norm_shift"])
            delta *= p["norm_scale"][:, None]
            delta = entry.rate * (delta - delta.mean(2, keepdim=True) - unit * (delta * unit).mean(2, keepdim=True))
        if entry.share is not None:
            # What a frame's share gains by being larger, relative to the clip's mean.
            gain = (delta[:, :, None] * (entry.frames - entry.pooled[:, :, None])).sum(3, keepdim=True) * entry.share
            g["query"].copy_((gain * entry.frames).sum((1, 2)))
            delta = entry.share * delta[:, :, None] + gain * p["query"][:, None, None]
        if self.shape.layers > 1:
            mix = torch.softmax(p["mix"], 1)
            states = entry.raw.unflatten(-1, (self.shape.layers, self.shape.dim)).nan_to_num()
            share = torch.einsum("m...d,m...ld->ml", delta, states)
            g["mix"].copy_(mix * (share - (mix * share).sum(1, keepdim=True)))


class _Normed:
    """Batch normalisation of a stack's hidden units z (M, B, H), each member over its own rows, by torch's own kernels."""

    def __init__(self, z: torch.Tensor, scale: torch.Tensor, rows: list[int]):
        self.z, self.scale, self.rows = z, scale, rows
        self.mean, self.rate = torch.empty_like(scale), torch.empty_like(scale)

    def forward(self, shift: torch.Tensor, running: torch.Tensor) -> torch.Tensor:
        """Normalise, and move the running mean and variance (M, 2, H) towards the batch's."""
        out = torch.zeros_like(self.z) if min(self.rows) < self.z.shape[1] else torch.empty_like(self.z)
        for member, count in enumerate(self.rows):
            z, kept = self.z[member, :count], running[member] if count > 1 else (None, None)
            torch.ops.aten.native_batch_norm.out(
                z, self.scale[member], shift[member], *kept, True, _MOMENTUM, _EPS,
                out=out[member, :count], save_mean=self.mean[member], save_invstd=self.rate[member],
            )  # fmt: skip
            if count == 1:
                # One row has no unbiased variance; it counts as none.
                running[member].lerp_(torch.stack([z[0], torch.zeros_like(z[0])]), _MOMENTUM)
        return out

    def backward(self, delta: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> None:
        """Turn the gradient in what `forward` gave into that in z, in place; fill those of scale and shift (M, H)."""
        for member, count in enumerate(self.rows):
            some = delta[member, :count]
            inner, scale[member], shift[member] = torch.ops.aten.native_batch_norm_backward(
                some, self.z[member, :count], self.scale[member], None, None, self.mean[member], self.rate[member],
                True, _EPS, [True, True, True],
            )  # fmt: skip
            some.copy_(inner)


@dataclass(frozen=True)
class _Entry:
    """What happened before the first layer.

    Attributes:
        entered: (M, B, D) the input of the first layer.
        raw: What came in.
        frames, share: (M, B, T, D) mixed frames, 0 where they fill up, and (M, B, T, 1) their weights; None: no attention.
        pooled: (M, B, D) before normalisation.
        unit, rate: Normalised, and one over the scale; None: no LayerNorm.
    """

    entered: torch.Tensor
    raw: torch.Tensor
    frames: torch.Tensor
    share: torch.Tensor | None
    pooled: torch.Tensor
    unit: torch.Tensor | None
    rate: torch.Tensor | None


class DeltaOf:
    """The gradient of the mean loss of a batch in its logits: softmax or sigmoid cross entropy."""

    def __init__(self, targets: torch.Tensor, mass: torch.Tensor):
        """Take targets (M, B) int64, or (M, B, C) of 0, 1 and -1 (unknown: no loss), and mass (M, B, 1)."""
        self.targets, self.mass = targets, mass

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        if self.targets.ndim == 2:
            delta = torch.softmax(logits, 2).mul_(self.mass)
            return delta.scatter_add_(2, self.targets[..., None], -self.mass)
        known = self.targets >= 0
        delta = torch.sigmoid(logits).sub_(self.targets).mul_(known)
        return delta.div_(self.targets.shape[-1]).mul_(self.mass)
