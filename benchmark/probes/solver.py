"""Penalised maximum likelihood for many members at once: L-BFGS, preconditioned by the Gram matrix of the features.

A member is one fold's problem (softmax over C classes, or one sigmoid column). Each walks its own path of penalties
from strong to weak, independently of the members beside it, and leaves the batch at its end. It starts each penalty
where a line on from the last three solutions is best: weights of what can be told apart grow with the logarithm of C,
so that most of the way is straight. The curvature is taken where that line has led to. Nocedal & Wright, "Numerical
Optimization", 2nd ed., algorithms 7.4 and 7.5.

Coordinates and logits are tensors; the few numbers of a member, such as the length of its step, are NumPy's.
"""

from dataclasses import dataclass

import numpy as np
import torch

from benchmark.probes.batch import Batch, Matrices
from benchmark.probes.gram import Preconditioner
from benchmark.probes.likelihood import Likelihood, dot

_MEMORY = 5
_TRIALS = 12
# How much of the difference between the last two ways is added to the next.
_BEND = 0.5
# Nats per row below which a loss is as good as zero.
_NATS = 0.01


@dataclass
class Problem:
    """Members to be solved.

    Attributes:
        targets: (M, 1, n), int64 classes (softmax) or 0 and 1 as float (sigmoid, C = 1).
        weights: (M, n) float weight of each row in the likelihood; 0 outside the training part.
        folds: (M,) int64, ascending, whose training part scales a member's features.
        offset: (M, C) float added to the logits; very negative for classes that are missing from a training part.
        path: (M, L) float64 inverse penalties, ascending.
        hinge: Whether the loss of single columns is the squared hinge, in place of the logistic loss.
        bias_penalty: Of a squared bias, relative to that of a squared weight.
    """

    targets: torch.Tensor
    weights: torch.Tensor
    folds: torch.Tensor
    offset: torch.Tensor
    path: np.ndarray
    hinge: bool = False
    bias_penalty: float = 0.0


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    """A number of each member (M,) as float64."""
    return tensor.cpu().numpy().astype(np.float64)


class _Path:
    """The members that are still on their way.

    Attributes:
        x: (M, C, P + 1) where they are; the last coordinate is the bias, which may have no penalty.
        place: (M,) the penalty at which they are.
        used: (M,) iterations there.
    """

    def __init__(self, matrices: Matrices, problem: Problem, tol: float, max_iter: int):
        members, classes = problem.offset.shape
        like = {"dtype": problem.offset.dtype, "device": problem.offset.device}
        self.matrices, self.tol, self.max_iter = matrices, tol, max_iter
        self.real = np.dtype(str(like["dtype"]).removeprefix("torch."))
        self.folds, self.path = problem.folds, problem.path
        mass = problem.weights.sum(1)
        self.mass, self.mass_there = _numbers(mass), mass.clamp(min=1e-30)
        self.x = torch.zeros(members, classes, matrices.dim + 1, **like)
        self.ridge = torch.ones(matrices.dim + 1, **like)
        self.ridge[-1] = problem.bias_penalty
        # The solution before, and the way to it from the one before that.
        self.last, self.way = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.place, self.used = np.zeros(members, np.int64), np.zeros(members, np.int64)
        self.batch = Batch(matrices, problem.folds)
        logits = self.batch.spread(problem.offset)[..., None].expand(-1, -1, self.batch.size).clone()
        targets, weights = self.batch.rows(problem.targets), self.batch.rows(problem.weights)
        self.likelihood = Likelihood(logits, targets, weights, problem.hinge)
        # The change of the logits along a direction.
        self.step = torch.zeros_like(logits)
        self.inverse = Preconditioner(matrices.gram, problem.folds, tuple(self.x.shape), mass, problem.bias_penalty)
        # Value of the likelihood and of the penalty, C, and the slope along the direction.
        self.value, _ = self._evaluate(np.zeros(members))
        self.penalty, self.strength, self.slope = (np.zeros(members) for _ in range(3))
        # Gradients of the likelihood and of the objective, and where to go.
        self.uphill = self.batch.backward(self.likelihood.residual)
        self.gradient, self.direction = torch.empty_like(self.x), torch.empty_like(self.x)
        self._curve()

    def tensor(self, numbers: np.ndarray) -> torch.Tensor:
        """Numbers (M,) where the members are."""
        return torch.from_numpy(numbers.astype(self.real)).to(self.x.device)

    def _evaluate(self, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value and slope (M,) of the likelihood a length (M,) along the step."""
        found = self.likelihood.evaluate(self.step, self.batch.spread(self.tensor(length)))
        value, slope = (self.batch.sums(each) for each in found)
        return value, slope

    def begin(self, members: np.ndarray) -> np.ndarray:
        """Let members (m,) begin with the penalty at which they are: which of them (m,) have solved it already?"""
        which = self._index(members)
        self.strength[members] = self.path[members, self.place[members]]
        x = self.x[which]
        penalised = x * self.ridge
        gradient = torch.addcmul(penalised, self.uphill[which], self.tensor(self.strength[members])[:, None, None])
        self.penalty[members] = 0.5 * _numbers(dot(penalised, x))
        # On along the way from the solution before, bent on as it has bent, where that goes down.
        way = x - self.last[which]
        onward = torch.add(way, way - self.way[which], alpha=_BEND)
        self.last[which], self.way[which] = x, way
        self.gradient[which], self.direction[which] = gradient, onward
        self.slope[members] = _numbers(dot(gradient, onward))
        for _, _, rho in self.pairs:
            rho[which] = 0
        self.used[members] = 0
        solved = np.zeros(len(members), bool)
        lost = np.flatnonzero(self.slope[members] >= 0)
        if len(lost):
            solved[lost] = self._descend(members[lost])
        return solved

    def _descend(self, members: np.ndarray) -> np.ndarray:
        """Direct members (m,) down the preconditioned gradient: which of them (m,) need not go?"""
        which = self._index(members)
        self._renew(members)
        gradient = self.gradient[which]
        direction = self.inverse.apply(gradient, which).neg_()
        self.direction[which], self.slope[members] = direction, _numbers(dot(gradient, direction))
        return self._promise(-self.slope[members], members)

    def _index(self, members: np.ndarray) -> torch.Tensor | slice:
        """Members (m,) as an index of tensors."""
        return slice(None) if len(members) == len(self.x) else torch.from_numpy(members).to(self.x.device)

    def _curve(self) -> None:
        """Take the curvature of the loss where the members are."""
        spread = self.batch.total(self.likelihood.spread()) / self.mass_there[:, None]
        self.spread = spread.clamp_(min=1e-3 if self.likelihood.hinge else 1e-7)

    def _renew(self, members: np.ndarray) -> None:
        """Let the preconditioner of members (m,) take their penalties and curvature."""
        which = self._index(members)
        self.inverse.renew(which, self.tensor(self.strength[members]), self.spread[which])

    def _promise(self, decrement: np.ndarray, members: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Whether a Newton decrement (m,) of some members promises too little to go on."""
        value = self.strength[members] * (self.value[members] + _NATS * self.mass[members]) + self.penalty[members]
        return decrement <= 2 * self.tol * value

    def turn(self) -> np.ndarray:
        """Take the gradient where the members are and a new direction; which (M,) have solved their penalty?"""
        strength = self.tensor(self.strength)[:, None, None]
        before, self.gradient = self.gradient, torch.addcmul(self.x * self.ridge, self.uphill, strength)
        change = self.gradient - before
        curvature = dot(self.moved, change, keepdim=True)
        rho = (curvature > 0) / curvature.clamp(min=1e-30)
        self.pairs = [*self.pairs[1 - _MEMORY :], (self.moved, change, rho)]
        self.pairs = self.pairs[len(self.pairs) - min(len(self.pairs), int(self.used.max())) :]
        jumped = np.flatnonzero(self.used == 1)
        if len(jumped):
            self._curve()
            self._renew(jumped)
        self.direction = self._recursion()
        self.slope = _numbers(dot(self.gradient, self.direction))
        return self._promise(-self.slope) | (self.used >= self.max_iter)

    def _recursion(self) -> torch.Tensor:
        """Two-loop recursion over the pairs that were kept at the present penalties."""
        q, kept = self.gradient.clone(), []
        for step, change, rho in reversed(self.pairs):
            a = rho * dot(step, q, keepdim=True)
            q.addcmul_(change, a, value=-1)
            kept.append((step, change, rho, a))
        d = self.inverse.apply(q)
        for step, change, rho, a in reversed(kept):
            d.addcmul_(step, a - rho * dot(change, d, keepdim=True))
        return d.neg_()

    def go(self) -> None:
        """Go a step along the direction: lengths by secants; the logits are linear in it, so a trial costs no product."""
        self.batch.forward(self.direction, self.step)
        penalised = self.direction * self.ridge
        along, square = _numbers(dot(self.x, penalised)), _numbers(dot(self.direction, penalised))
        start, slope0 = self.strength * self.value, self.slope
        noise = 4 * np.finfo(self.real).eps * (start + np.abs(along))
        length, low, low_slope = np.ones_like(start), np.zeros_like(start), slope0
        high = np.full_like(start, np.inf)
        for trial in range(_TRIALS):
            value, slope = self._evaluate(length)
            gain = self.strength * value - start + length * along + 0.5 * length**2 * square
            slope = self.strength * slope + along + length * square
            good = (np.abs(slope) <= 0.6 * np.abs(slope0)) & (gain <= noise)
            if good.all() or trial == _TRIALS - 1:
                break
            # The slope grows along the line: a secant from the last point before the minimum, kept well inside the
            # bracket.
            secant = low + (length - low) * low_slope / np.minimum(low_slope - slope, -1e-30)
            short = slope < 0
            high = np.where(short, high, length)
            low, low_slope = np.where(short, length, low), np.where(short, slope, low_slope)
            beyond = np.clip(np.where(secant > length, secant, 4 * length), 1.5 * length, 4 * length)
            with np.errstate(invalid="ignore"):
                inside = np.clip(secant, low + 0.1 * (high - low), low + 0.6 * (high - low))
            length = np.where(good, length, np.where(np.isinf(high), beyond, inside))
        # A line on which rounding hides all progress is left where it was.
        stuck = ~(gain <= noise)
        if stuck.any():
            length = np.where(stuck, 0.0, length)
            value, _ = self._evaluate(length)
        there = self.tensor(length)
        self.likelihood.advance(self.step, self.batch.spread(there))
        self.moved = self.direction * there[:, None, None]
        self.x += self.moved
        self.value, self.penalty = value, self.penalty + length * along + 0.5 * length**2 * square
        self.uphill = self.batch.backward(self.likelihood.residual)
        self.used += 1
        self.used[stuck] = self.max_iter

    def take(self, going: np.ndarray) -> None:
        """Keep only some members (M,) bool."""
        members = torch.from_numpy(going).to(self.x.device)
        cells = members[self.batch.member]
        self.likelihood.take(cells)
        self.inverse.take(members)
        self.step = self.step[cells]
        for name in ("folds", "mass_there", "x", "last", "way", "spread", "uphill", "gradient", "direction"):
            setattr(self, name, getattr(self, name)[members])
        for name in ("path", "mass", "place", "used", "value", "penalty", "strength", "slope"):
            setattr(self, name, getattr(self, name)[going])
        self.pairs = [tuple(tensor[members] for tensor in pair) for pair in self.pairs]
        self.batch = Batch(self.matrices, self.folds)


def solve_path(
    matrices: Matrices, problem: Problem, tol: float, max_iter: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Minimise `C * sum_i w_i loss_i + |W|^2 / 2` for every member at every C of its path.

    Args:
        matrices: Features of all folds.
        problem: Members.
        tol: A penalty is solved when the Newton decrement promises less than this part of the objective.
        max_iter: Largest number of iterations at one penalty.

    Returns:
        coordinates (M, L, C, P), bias (M, L, C), iterations (M, L) int64.
    """
    members, length = problem.path.shape
    state = _Path(matrices, problem, tol, max_iter)
    solution = state.x.new_zeros(members, length, *state.x.shape[1:])
    iterations = np.zeros((members, length), np.int64)
    alive = np.arange(members)
    solved = state.begin(alive)
    while True:
        while solved.any():
            done = np.flatnonzero(solved)
            solution[alive[done], state.place[done]] = state.x[done]
            iterations[alive[done], state.place[done]] = state.used[done]
            state.place[done] += 1
            going = state.place < length
            if not going.any():
                return solution[..., :-1], solution[..., -1] + problem.offset[:, None], iterations
            if not going.all():
                state.take(going)
                alive, solved = alive[going], solved[going]
            done = np.flatnonzero(solved)
            if len(done):
                solved[done] = state.begin(done)
        state.go()
        solved = state.turn()
