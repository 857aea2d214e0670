"""The perceptron of Kehling & Cano: all folds (and seeds, and learning rates) trained as one batched program."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import MlpSettings
from benchmark.metrics.folds import Split
from benchmark.probes.adam import StackedAdam
from benchmark.probes.registry import Question
from benchmark.probes.scaling import fit_scaling
from benchmark.probes.stacked import StackedMlp
from benchmark.probes.weights import class_weights

_ROWS = 8192


@dataclass(frozen=True)
class Member:
    """One network of the batch: a fold, a seed, a learning rate (None: that of the settings)."""

    fold: int
    seed: int = 0
    lr: float | None = None


@dataclass(frozen=True)
class MlpFit:
    """Trained networks, each at the epoch with the best validation score.

    Attributes:
        sizes: Units of each layer, inputs first.
        parameters: (M, P).
        members: M members.
        shift: (K, F) float32 of the scaling.
        inverse: (K, F) float32, one over the scale.
        valid_scores: M scores of the best epoch on the validation part.
        best_epoch: M epochs, counted from 1.
        epochs: M epochs until the member stopped.
        multilabel: Whether outputs are independent.
    """

    sizes: list[int]
    parameters: torch.Tensor
    members: list[Member]
    shift: torch.Tensor
    inverse: torch.Tensor
    valid_scores: np.ndarray
    best_epoch: np.ndarray
    epochs: np.ndarray
    multilabel: bool

    def posterior(self, member: int, features: torch.Tensor) -> np.ndarray:
        """Compute posteriors (n, C) float64 of features (n, F) by one network."""
        net = StackedMlp(self.sizes, self.parameters[member : member + 1])
        fold = self.members[member].fold
        logits = _logits(net, 0, features, None, self.shift[fold], self.inverse[fold]).to(torch.float64)
        return (torch.sigmoid(logits) if self.multilabel else torch.softmax(logits, 1)).cpu().numpy()

    def choices(self) -> list[dict[str, Any]]:
        """The epoch that each member was taken from, and its score on the validation part."""
        return [
            {"epoch": int(best), "epochs": int(epochs), "valid": float(value)}
            for best, epochs, value in zip(self.best_epoch, self.epochs, self.valid_scores, strict=True)
        ]


def solve(features: torch.Tensor, question: Question, settings: MlpSettings) -> MlpFit:
    """Fit a question of classes, one member a fold; epochs of multiclass questions are chosen by accuracy."""
    if question.kind == "regression":
        raise ValueError("the perceptron answers no question of numbers; use ridge")
    multilabel = question.kind == "multilabel"
    return fit_mlp(
        features, question.labels, question.splits, question.n_classes, settings, question.seed,
        multilabel=multilabel, score=question.score if multilabel else None,
    )  # fmt: skip


def _logits(
    net: StackedMlp,
    member: int,
    features: torch.Tensor,
    rows: torch.Tensor | None,
    shift: torch.Tensor,
    inverse: torch.Tensor,
) -> torch.Tensor:
    """Compute logits (n, C) of some rows by one member."""
    one = StackedMlp.__new__(StackedMlp)
    one.layers = [(weight[member : member + 1], bias[member : member + 1]) for weight, bias in net.layers]
    parts = []
    for start in range(0, len(features) if rows is None else len(rows), _ROWS):
        block = features[start : start + _ROWS] if rows is None else features[rows[start : start + _ROWS]]
        parts.append(one.forward((block - shift).mul_(inverse)[None])[-1][0])
    return torch.cat(parts)


@dataclass
class _Course:
    """How far one member has come."""

    member: Member
    rows: torch.Tensor
    valid: torch.Tensor
    generator: torch.Generator
    order: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    step: int = 0
    epoch: int = 0
    best: float = -np.inf
    best_epoch: int = 0
    kept: torch.Tensor | None = None

    def shuffle(self, batch: int) -> None:
        """Begin an epoch: rows in a new order, (steps, batch) with -1 where the last batch is short."""
        order = self.rows[torch.randperm(len(self.rows), generator=self.generator)]
        self.order = torch.nn.functional.pad(order, (0, -len(order) % batch), value=-1).view(-1, batch)
        self.step = 0

    def record(self, score: float, parameters: torch.Tensor) -> None:
        """Note the score of an epoch, and the parameters if it is the best so far."""
        self.epoch += 1
        if score > self.best:
            self.best, self.best_epoch, self.kept = score, self.epoch, parameters.clone()


def fit_mlp(
    features: torch.Tensor,
    labels: np.ndarray,
    splits: Sequence[Split],
    n_classes: int,
    settings: MlpSettings,
    seed: int = 0,
    members: Sequence[Member] | None = None,
    multilabel: bool = False,
    score: Callable[[int, np.ndarray], float] | None = None,
) -> MlpFit:
    """Train a network for every member until its validation score has not risen for `patience` epochs.

    Each member shuffles its own training rows anew for each epoch and draws its first weights from its own generator,
    seeded by `seed`, its fold and its own seed: what runs beside it does not matter. All members take a step
    together; one that stops leaves the batch. The best epoch is restored, the first of equals. Test rows are never
    read.

    Args:
        features: (n, F) float32.
        labels: (n,) int, or (n, C) of 0 and 1.
        splits: K splits of the rows.
        n_classes: C.
        settings: Shape, training and scaling.
        seed: Of initial weights, orders and dropout.
        members: Networks to train; one a fold by default.
        multilabel: Whether labels are (n, C), for sigmoid outputs.
        score: Maps a fold and the posteriors of its validation rows to a score; accuracy by default.
    """
    if multilabel and score is None:
        raise ValueError("a multilabel probe needs a score")
    device, dim = features.device, features.shape[1]
    members = [Member(fold) for fold in range(len(splits))] if members is None else list(members)
    # Members with one learning rate lie side by side.
    members = sorted(members, key=lambda member: member.lr or settings.lr)
    parts = torch.zeros(len(splits), len(features), dtype=torch.bool)
    courses = []
    for fold, split in enumerate(splits):
        if not len(split.train) or not len(split.valid):
            raise ValueError(f"fold {fold} has no training or no validation rows")
        parts[fold, split.train] = True
    for member in members:
        split = splits[member.fold]
        state = np.random.SeedSequence([seed, member.fold, member.seed]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        courses.append(
            _Course(member, torch.from_numpy(split.train), torch.from_numpy(split.valid).to(device), generator)
        )
    shift, scale = fit_scaling(features, parts.to(device), settings.scaling)
    shift, inverse = shift.to(torch.float32), (1 / scale).to(torch.float32)
    sizes = [dim, *settings.hidden, n_classes]
    weights = _row_weights(labels, splits, n_classes, settings, multilabel)
    truth = torch.from_numpy(np.asarray(labels, dtype=np.float32 if multilabel else np.int64)).to(device)
    _train(features, truth, courses, sizes, settings, shift, inverse, weights, score)
    return MlpFit(
        sizes=sizes,
        parameters=torch.stack([course.kept for course in courses]),
        members=members,
        shift=shift,
        inverse=inverse,
        valid_scores=np.array([course.best for course in courses]),
        best_epoch=np.array([course.best_epoch for course in courses]),
        epochs=np.array([course.epoch for course in courses]),
        multilabel=multilabel,
    )


def _row_weights(
    labels: np.ndarray, splits: Sequence[Split], n_classes: int, settings: MlpSettings, multilabel: bool
) -> torch.Tensor | None:
    """Weigh the training rows of each fold (K, n), or None where all weigh the same."""
    if not settings.class_weight:
        return None
    if multilabel:
        raise ValueError("class weights of a multilabel perceptron are not defined; use the logistic probe")
    weights = np.zeros((len(splits), len(labels)), dtype=np.float32)
    for fold, split in enumerate(splits):
        weights[fold, split.train] = class_weights(labels[split.train], n_classes)
    return torch.from_numpy(weights)


def _train(
    features: torch.Tensor,
    truth: torch.Tensor,
    courses: list[_Course],
    sizes: list[int],
    settings: MlpSettings,
    shift: torch.Tensor,
    inverse: torch.Tensor,
    weights: torch.Tensor | None,
    score: Callable[[int, np.ndarray], float] | None,
) -> None:
    """Train until every course has come to its end."""
    alive = list(courses)
    net = StackedMlp(sizes, StackedMlp.initial(sizes, [course.generator for course in alive]).to(features.device))
    optimiser = StackedAdam(net, [course.member.lr or settings.lr for course in alive])
    for course in alive:
        course.shuffle(settings.batch)
    while alive:
        folds = torch.tensor([course.member.fold for course in alive])
        steps = min(len(course.order) - course.step for course in alive)
        order = torch.stack([course.order[course.step : course.step + steps] for course in alive], 1)
        _steps(net, optimiser, features, truth, order, folds, alive, settings, shift, inverse, weights)
        stay = []
        for number, course in enumerate(alive):
            course.step += steps
            if course.step == len(course.order):
                fold = course.member.fold
                logits = _logits(net, number, features, course.valid, shift[fold], inverse[fold])
                course.record(_score(logits, truth[course.valid], fold, score), net.flat[number])
                if course.epoch >= settings.max_epochs or course.epoch - course.best_epoch >= settings.patience:
                    continue
                course.shuffle(settings.batch)
            stay.append(number)
        if len(stay) < len(alive):
            alive = [alive[number] for number in stay]
            kept = torch.tensor(stay, dtype=torch.int64, device=features.device)
            net = StackedMlp(sizes, net.flat[kept])
            if alive:
                optimiser.keep(stay, kept, net)


def _score(
    logits: torch.Tensor, truth: torch.Tensor, fold: int, score: Callable[[int, np.ndarray], float] | None
) -> float:
    if score is None:
        return float((logits.argmax(1) == truth).double().mean())
    posterior = torch.sigmoid(logits) if truth.ndim == 2 else torch.softmax(logits, 1)
    return score(fold, posterior.cpu().numpy())


def _steps(
    net: StackedMlp,
    optimiser: StackedAdam,
    features: torch.Tensor,
    truth: torch.Tensor,
    order: torch.Tensor,
    folds: torch.Tensor,
    courses: list[_Course],
    settings: MlpSettings,
    shift: torch.Tensor,
    inverse: torch.Tensor,
    weights: torch.Tensor | None,
) -> None:
    """Take the steps of order (steps, M, B) with all members."""
    present = (order >= 0).to(torch.float32)
    mass = present / present.sum(2, keepdim=True)
    order = order.clamp(min=0)
    if weights is not None:
        mass *= weights[folds[None, :, None], order]
    order, mass = order.to(features.device), mass.to(features.device)[..., None]
    targets = truth[order]
    shift, inverse = shift[folds][:, None], inverse[folds][:, None]
    members, batch = order.shape[1:]
    for step in range(len(order)):
        x = features.index_select(0, order[step].view(-1)).view(members, batch, -1).sub_(shift).mul_(inverse)
        masks = _masks(courses, settings, batch, features.device)
        values = net.forward(x, masks)
        if truth.ndim == 2:
            delta = torch.sigmoid(values[-1]).sub_(targets[step]).div_(targets.shape[-1]).mul_(mass[step])
            # A label that nobody knows pulls nowhere.
            delta.mul_(targets[step] >= 0)
        else:
            delta = torch.softmax(values[-1], 2).mul_(mass[step])
            delta.scatter_add_(2, targets[step][..., None], -mass[step])
        net.backward(values, delta, masks)
        optimiser.step()


def _masks(courses: list[_Course], settings: MlpSettings, batch: int, device: torch.device) -> list[torch.Tensor]:
    """Draw dropout masks (M, B, H) of each hidden layer, each member from its generator."""
    if settings.dropout == 0:
        return []
    keep = 1 - settings.dropout
    return [
        torch.stack([torch.rand(batch, units, generator=course.generator) < keep for course in courses]).to(device)
        / keep
        for units in settings.hidden
    ]
