"""The negative log-likelihood of linear classifiers along lines, and the squared hinge loss in its place."""

import torch

# Logits that stay in the cache.
_CHUNK = 1 << 16
_LEAST_ROWS = 512


class Likelihood:
    """The loss of N parts of a table at a point in the space of logits.

    Attributes:
        logits: (N, C, n) at the present point.
        residual: (N, C, n), the gradient in the logits at the point that was last evaluated.
        hinge: Whether the loss of single columns is the squared hinge, in place of the logistic loss.
    """

    def __init__(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, hinge: bool):
        """Begin at logits (N, C, n).

        Args:
            targets: (N, 1, n), int64 classes (softmax) or 0 and 1 as float (sigmoid, C = 1).
            weights: (N, n) of the rows.
        """
        self.logits, self.residual, self.hinge = logits, torch.empty_like(logits), hinge
        self._targets, self._weights = targets, weights[:, None]
        self._minus = -self._weights

    def evaluate(self, step: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute value and slope (N,) at `logits + length * step`, in blocks of rows that stay in the cache."""
        number, classes, rows = step.shape
        size = max(_LEAST_ROWS, _CHUNK // (number * classes))
        tensors = self.logits, step, self._targets, self._weights, self._minus, self.residual
        length = length[:, None, None]
        if rows <= size:
            return self._part(length, *tensors)
        parts = [
            self._part(length, *(tensor[..., start : start + size] for tensor in tensors))
            for start in range(0, rows, size)
        ]
        return sum(value for value, _ in parts), sum(slope for _, slope in parts)

    def _part(
        self, length: torch.Tensor, logits: torch.Tensor, step: torch.Tensor, y: torch.Tensor, w: torch.Tensor,
        minus: torch.Tensor, r: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """Value and slope (N,) of some rows, whose residual is written to `r`."""
        z = torch.addcmul(logits, step, length)
        if self.hinge:
            sign = 2 * y - 1
            short = (1 - sign * z).clamp_(min=0)
            value = dot(short * short, w)
            torch.mul(short * sign, 2 * minus, out=r)
        elif z.shape[1] == 1:
            value = dot(torch.nn.functional.softplus(z).addcmul_(y, z, value=-1), w)
            torch.mul(torch.sigmoid(z).sub_(y), w, out=r)
        else:
            p = torch.log_softmax(z, 1)
            value = dot(p.gather(1, y), minus)
            torch.mul(p.exp_(), w, out=r)
            r.scatter_add_(1, y, minus)
        return value, dot(r, step)

    def spread(self) -> torch.Tensor:
        """The curvature of each class, summed over the rows: (N, C)."""
        if self.hinge:
            # Twice the weight of the rows within the margin.
            return 2 * (self._weights * (self.residual != 0)).sum(2)
        # residual = weight (p - y), so |residual| (1 - |residual| / weight) is weight p (1 - p) for targets of 0 and 1.
        size = self.residual.abs()
        return torch.addcmul(size, size, size / self._weights.clamp(min=1e-30), value=-1).sum(2)

    def advance(self, step: torch.Tensor, length: torch.Tensor) -> None:
        """Make `logits + length * step` the present point."""
        self.logits.addcmul_(step, length[:, None, None])

    def take(self, parts: torch.Tensor) -> None:
        """Keep only some parts (N,) bool."""
        for name in ("logits", "residual", "_targets", "_weights", "_minus"):
            setattr(self, name, getattr(self, name)[parts])


def dot(a: torch.Tensor, b: torch.Tensor, keepdim: bool = False) -> torch.Tensor:
    """Inner products (M,), or (M, 1, 1), of the members of two tensors (M, C, n); a product and a sum beat bmm here."""
    return (a * b).sum((1, 2), keepdim)
