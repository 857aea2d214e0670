"""Penalised maximum likelihood for many members at once: L-BFGS in coordinates in which the Gram matrix is diagonal.

A member is one fold's problem (softmax over C classes, or one sigmoid column). Each walks its own path of penalties
from strong to weak, independently of the members beside it, and leaves the batch at its end. It starts each penalty
where the line through the last two solutions is best: weights of what can be told apart grow with the logarithm of C,
so that most of the way is straight. Nocedal & Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5.
"""

from dataclasses import dataclass, replace

import torch

from benchmark.probes.design import FactorDesign, SharedDesign
from benchmark.probes.layout import Layout

_MEMORY = 5
_ROWS = 2048
_TRIALS = 12
# Nats per row below which a loss is as good as zero.
_NATS = 0.01


@dataclass
class Problem:
    """Members to be solved.

    Attributes:
        targets: (M, 1, n), int64 classes (softmax) or 0 and 1 as float (sigmoid, C = 1).
        weights: (M, n) float weight of each row in the likelihood; 0 outside the training part.
        folds: (M,) int64, whose training part scales a member's features.
        offset: (M, C) float added to the logits; very negative for classes that are missing from a training part.
        path: (M, L) float64 inverse penalties, ascending.
        hinge: Whether the loss of single columns is the squared hinge, in place of the logistic loss.
        bias_penalty: Of a squared bias, relative to that of a squared weight.
    """

    targets: torch.Tensor
    weights: torch.Tensor
    folds: torch.Tensor
    offset: torch.Tensor
    path: torch.Tensor
    hinge: bool = False
    bias_penalty: float = 0.0

    def take(self, members: torch.Tensor) -> "Problem":
        """Keep only some members."""
        tensors = (getattr(self, name)[members] for name in ("targets", "weights", "folds", "offset", "path"))
        return Problem(*tensors, self.hinge, self.bias_penalty)

    def laid_out(self, layout: Layout) -> "Problem":
        """The rows of each member's fold alone, as a design lays them out."""
        if layout.place is None:
            return self
        place, there = layout.place[self.folds], layout.there[self.folds]
        targets = self.targets.gather(2, place[:, None].expand(-1, self.targets.shape[1], -1))
        return replace(self, targets=targets, weights=self.weights.gather(1, place) * there)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner products (M,) of the members of two tensors (M, ...); a product and a sum are faster here than bmm."""
    return (a * b).flatten(1).sum(1)


def _likelihood(
    logits: torch.Tensor, step: torch.Tensor, length: torch.Tensor, problem: Problem
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Evaluate the negative log-likelihood at a point of a line, in blocks of rows that stay in the cache.

    Returns:
        value and slope (M,) at `logits + length * step`, and the gradient in the logits (M, C, n) there.
    """
    _, classes, rows = logits.shape
    value, slope = torch.zeros_like(length), torch.zeros_like(length)
    residual = torch.empty_like(logits)
    for start in range(0, rows, _ROWS):
        part = slice(start, start + _ROWS)
        z = torch.addcmul(logits[..., part], step[..., part], length[:, None, None])
        y, w = problem.targets[..., part], problem.weights[:, part]
        if problem.hinge:
            sign = 2 * y - 1
            short = (1 - sign * z).clamp_(min=0)
            value += _dot((short * short)[:, 0], w)
            r = torch.mul(short * sign, -2 * w[:, None], out=residual[..., part])
            slope += _dot(r, step[..., part])
            continue
        if classes == 1:
            p = torch.sigmoid(z)
            value += _dot(torch.nn.functional.softplus(z).addcmul_(y, z, value=-1)[:, 0], w)
        else:
            p = torch.log_softmax(z, 1)
            value -= _dot(p.gather(1, y)[:, 0], w)
            p.exp_()
        r = torch.mul(p, w[:, None], out=residual[..., part])
        if classes == 1:
            r.addcmul_(y, w[:, None], value=-1)
        else:
            r.scatter_add_(1, y, -w[:, None])
        slope += _dot(r, step[..., part])
    return value, slope, residual


class _Path:
    """State of the members that are still on their way."""

    def __init__(self, design: SharedDesign | FactorDesign, problem: Problem, tol: float, max_iter: int):
        members, classes = problem.offset.shape
        dtype, device, rows = problem.offset.dtype, problem.offset.device, problem.targets.shape[2]
        self.design, self.problem, self.tol, self.max_iter = design, problem, tol, max_iter
        # The last coordinate is the bias, which has no penalty.
        self.x = torch.zeros(members, classes, design.dim + 1, dtype=dtype, device=device)
        self.ridge = torch.ones(design.dim + 1, dtype=dtype, device=device)
        self.ridge[-1] = problem.bias_penalty
        self.logits = problem.offset[..., None].expand(-1, -1, rows).clone()
        self.mass = problem.weights.sum(1)
        # The solution before, and the way from the one before that.
        self.last, self.jump = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.place = torch.zeros(members, dtype=torch.int64, device=device)
        self.used = torch.zeros(members, dtype=torch.int64, device=device)
        zero = torch.zeros(members, dtype=dtype, device=device)
        self.value, _, residual = _likelihood(self.logits, self.logits, zero, problem)
        self.gradient = self._backward(residual)
        self.residual = residual
        self.precondition()

    def _backward(self, residual: torch.Tensor) -> torch.Tensor:
        coordinates, bias = self.design.backward(residual, self.problem.folds)
        return torch.cat([coordinates, bias[..., None]], 2)

    def precondition(self) -> None:
        """Refresh the inverse diagonal Hessian: mean p (1 - p) of a class times the spectrum, plus the penalty."""
        problem = self.problem
        self.strength = problem.path.gather(1, self.place[:, None])[:, 0].to(self.x.dtype)
        if problem.hinge:
            # Twice the weight of the rows within the margin.
            size = problem.weights[:, None] * (self.residual != 0)
            spread = 2 * size.sum(2) / self.mass.clamp(min=1e-30)[:, None]
            self._invert(spread.clamp(min=1e-3))
            return
        # residual = weight (p - y), so |residual| (1 - |residual| / weight) is weight p (1 - p) for targets of 0 and 1.
        size = self.residual.abs()
        weights = problem.weights[:, None].clamp(min=1e-30)
        spread = (size - size * size / weights).sum(2) / self.mass.clamp(min=1e-30)[:, None]
        self._invert(spread.clamp(min=1e-7))

    def _invert(self, spread: torch.Tensor) -> None:
        problem = self.problem
        spectrum = torch.cat([self.design.spectrum[problem.folds], self.mass[:, None].clamp(min=1e-30)], 1)
        hessian = self.strength[:, None, None] * spread[..., None] * spectrum[:, None] + self.ridge
        self.inverse = 1 / hessian.clamp(min=1e-20)

    def remember(self, step: torch.Tensor, change: torch.Tensor) -> None:
        """Keep a step and the change of the likelihood's gradient along it."""
        self.pairs = [*self.pairs[1 - _MEMORY :], (step, change, *self._curvature(step, change))]

    def _curvature(self, step: torch.Tensor, change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The change of the whole gradient at the present penalties, and one over its product with the step."""
        y = torch.addcmul(step * self.ridge, change, self.strength[:, None, None])
        curvature = _dot(step, y)
        return y, torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), 0.0)

    def objective(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute value (M,) and gradient (M, C, P + 1) at the present penalties."""
        penalised = self.x * self.ridge
        value = self.strength * self.value + 0.5 * _dot(penalised, self.x)
        return value, torch.addcmul(penalised, self.gradient, self.strength[:, None, None])

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Two-loop recursion over the pairs that were kept at the present penalties."""
        q, kept = gradient.clone(), []
        self.pairs = self.pairs[len(self.pairs) - min(len(self.pairs), int(self.used.max())) :]
        for step, _, y, rho in reversed(self.pairs):
            a = rho * _dot(step, q)
            q.addcmul_(y, a[:, None, None], value=-1)
            kept.append((step, y, rho, a))
        d = q.mul_(self.inverse)
        for step, y, rho, a in reversed(kept):
            d.addcmul_(step, (a - rho * _dot(y, d))[:, None, None])
        return d.neg_()

    def search(self, direction: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Find step lengths (M,) by secants on the line; the logits are linear in it, so a trial costs no product."""
        step = self.design.forward(direction[..., :-1], direction[..., -1], self.problem.folds)
        slope0 = _dot(gradient, direction)
        along, square = _dot(self.x * self.ridge, direction), _dot(direction * self.ridge, direction)
        start = self.strength * self.value
        noise = 4 * torch.finfo(start.dtype).eps * (start + along.abs())
        length, low, low_slope = torch.ones_like(slope0), torch.zeros_like(slope0), slope0
        high = torch.full_like(slope0, torch.inf)
        for trial in range(_TRIALS):
            value, slope, residual = _likelihood(self.logits, step, length, self.problem)
            gain = self.strength * value - start + length * along + 0.5 * length**2 * square
            slope = self.strength * slope + along + length * square
            good = (slope.abs() <= 0.6 * slope0.abs()) & (gain <= noise)
            if good.all() or trial == _TRIALS - 1:
                break
            # The slope grows along the line: a secant from the last point before the minimum, kept well inside the
            # bracket.
            secant = low + (length - low) * low_slope / (low_slope - slope).clamp(max=-1e-30)
            short = slope < 0
            high = torch.where(short, high, length)
            guess = torch.where(
                high.isinf(),
                torch.minimum(torch.where(secant > length, secant, 4 * length), 4 * length).maximum(1.5 * length),
                secant.clamp(min=0),
            )
            low, low_slope = torch.where(short, length, low), torch.where(short, slope, low_slope)
            width = high - low
            guess = torch.where(high.isinf(), guess, guess.maximum(low + 0.1 * width).minimum(low + 0.6 * width))
            length = torch.where(good, length, guess)
        # A line on which rounding hides all progress is left where it was; the caller sees a step of no length.
        length = torch.where(gain <= noise, length, 0.0)
        if (length == 0).any():
            value, _, residual = _likelihood(self.logits, step, length, self.problem)
        self.logits.addcmul_(step, length[:, None, None])
        self.value, self.residual = value, residual
        return length

    def look(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ask where the present penalty is solved, and where to go elsewhere.

        Returns:
            solved (M,) bool, the descent direction and the gradient at the present penalties.
        """
        value, gradient = self.objective()
        direction = self.direction(gradient)
        decrement = -_dot(gradient, direction)
        solved = (decrement <= 2 * self.tol * (value + _NATS * self.strength * self.mass)) | (
            self.used >= self.max_iter
        )
        fresh = self.used == 0
        if fresh.any():
            onward = fresh & (_dot(gradient, self.jump) < 0)
            direction = torch.where(onward[:, None, None], self.jump, direction)
        return solved, direction, gradient

    def go_on(self, members: torch.Tensor) -> None:
        """Send members, which have solved their penalty, to the next."""
        self.place[members] += 1
        self.used[members] = 0
        self.jump[members] = self.x[members] - self.last[members]
        self.last[members] = self.x[members]
        for pair in self.pairs:
            for tensor in pair:
                tensor[members] = 0

    def take(self, members: torch.Tensor) -> None:
        """Keep only some members."""
        self.problem = self.problem.take(members)
        for name in (
            "x",
            "last",
            "jump",
            "logits",
            "mass",
            "place",
            "used",
            "value",
            "gradient",
            "residual",
            "strength",
            "inverse",
        ):
            setattr(self, name, getattr(self, name)[members])
        self.pairs = [tuple(tensor[members] for tensor in pair) for pair in self.pairs]


def solve_path(
    design: SharedDesign | FactorDesign, problem: Problem, tol: float, max_iter: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Minimise `C * sum_i w_i loss_i + |W|^2 / 2` for every member at every C of its path.

    Args:
        design: Features of all folds.
        problem: Members.
        tol: A penalty is solved when the Newton decrement promises less than this part of the objective.
        max_iter: Largest number of iterations at one penalty.

    Returns:
        coordinates (M, L, C, P), bias (M, L, C), iterations (M, L) int64.
    """
    members, classes = problem.offset.shape
    length = problem.path.shape[1]
    state = _Path(design, problem, tol, max_iter)
    solution = state.x.new_zeros(members, length, classes, design.dim + 1)
    iterations = torch.zeros(members, length, dtype=torch.int64)
    alive = torch.arange(members, device=state.x.device)
    while True:
        solved, direction, gradient = state.look()
        while solved.any():
            where = solved.nonzero()[:, 0]
            solution[alive[where], state.place[where]] = state.x[where]
            iterations[alive[where].cpu(), state.place[where].cpu()] = state.used[where].cpu()
            state.go_on(where)
            going = state.place < length
            if not going.all():
                state.take(going)
                alive = alive[going]
                if not len(alive):
                    return solution[..., :-1], solution[..., -1] + problem.offset[:, None], iterations
            state.precondition()
            solved, direction, gradient = state.look()
        taken = state.search(direction, gradient)
        moved = taken[:, None, None] * direction
        state.x += moved
        before, state.gradient = state.gradient, state._backward(state.residual)
        state.remember(moved, state.gradient - before)
        state.used += 1
        state.used[taken == 0] = max_iter
