"""Heads trained by gradient as HEAR, HARES, X-ARES and SUPERB train theirs: a grid of members, all folds in one stack."""

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import HeadSettings
from benchmark.metrics.folds import Split
from benchmark.probes.adam import StackedAdam
from benchmark.probes.headnet import DeltaOf, Shape, StackedHead
from benchmark.probes.registry import Question
from benchmark.probes.scaling import fit_scaling
from benchmark.probes.weights import class_weights

_ROWS = 8192


@dataclass(frozen=True)
class Point:
    """One point of the grid."""

    hidden_layers: int
    init: str
    lr: float


@dataclass
class Member:
    """One network of a stack: where it is, and the best that it has been.

    Attributes:
        fold: Which fold.
        point: Which point of the grid.
        generator: Of first weights and orders.
        drop: Of dropout.
        score: Best validation score.
        epoch: At which it was, from 1.
        parameters, running: What it was.
        checks: Validations since.
    """

    fold: int
    point: Point
    generator: torch.Generator
    drop: np.random.Generator
    score: float = -np.inf
    epoch: int = 0
    parameters: torch.Tensor | None = None
    running: torch.Tensor | None = None
    checks: int = 0
    epochs: int = field(default=0)


@dataclass(frozen=True)
class HeadFit:
    """The chosen network of each fold.

    Attributes:
        nets: K stacks of one.
        members: K members.
        shift, inverse: (K, F) float32 of the scaling.
        multilabel: Whether outputs are independent.
    """

    nets: list[StackedHead]
    members: list[Member]
    shift: torch.Tensor
    inverse: torch.Tensor
    multilabel: bool

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Compute posteriors (n, C) float64 of features (n, F) or sequences (n, T, F) by the network of one fold."""
        return _posterior(self.nets[fold], features, self.shift[fold], self.inverse[fold], self.multilabel)

    def choices(self) -> list[dict[str, Any]]:
        """Point of the grid and epoch of each fold, and the validation score there unless nobody looked."""
        said = []
        for member in self.members:
            choice: dict[str, Any] = {
                "hidden_layers": member.point.hidden_layers, "init": member.point.init, "lr": member.point.lr,
                "epoch": member.epoch, "epochs": member.epochs,
            }  # fmt: skip
            if np.isfinite(member.score):
                choice["valid"] = float(member.score)
            said.append(choice)
        return said


def _posterior(
    net: StackedHead, features: torch.Tensor, shift: torch.Tensor, inverse: torch.Tensor, multilabel: bool
) -> np.ndarray:
    parts = []
    rows = max(1, _ROWS // (features.shape[1] if features.ndim == 3 else 1))
    for start in range(0, len(features), rows):
        block = (features[start : start + rows] - shift).mul_(inverse)
        logits = net.logits(block[None])[0].to(torch.float64)
        parts.append((torch.sigmoid(logits) if multilabel else torch.softmax(logits, 1)).cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, net.shape.classes))


def grid(settings: HeadSettings) -> list[Point]:
    """The points that are trained: all in scikit-learn's order, or as HEAR does, the first of a seeded shuffle."""
    points = [Point(*values) for values in itertools.product(settings.hidden_layers, settings.init, settings.lr)]
    if settings.points is not None:
        random.Random(settings.points_seed).shuffle(points)
        points = points[: settings.points]
    return points


def solve(features: torch.Tensor, question: Question, settings: HeadSettings) -> HeadFit:
    """Train the grid and keep a network a fold: the first of the best on its validation part, or the last.

    With `select: first_fold` the grid is trained on the first fold alone, and its best point on the others (HEAR). Test
    rows are never read.
    """
    if question.kind == "regression":
        raise ValueError("heads answer no question of numbers; use ridge")
    if features.shape[-1] % (settings.layers or 1):
        raise ValueError(f"{features.shape[-1]} features are not {settings.layers} layers of equal size")
    if (features.ndim == 3) != settings.of_sequences:
        raise ValueError("attention pools the frames of clips; this question is about single frames")
    if settings.class_weight and question.kind != "multiclass":
        raise ValueError("heads have class weights for multiclass tasks alone; use logistic")
    trainer = _Trainer(features, question, settings)
    points, folds = grid(settings), range(len(question.splits))
    if settings.select == "first_fold" and len(points) > 1:
        first = trainer.train([(0, point) for point in points])
        best = _first_best(first)
        chosen = [best, *trainer.train([(fold, best.point) for fold in folds[1:]])]
    else:
        every = trainer.train([(fold, point) for fold in folds for point in points])
        chosen = [_first_best([member for member in every if member.fold == fold]) for fold in folds]
    nets = [
        StackedHead(trainer.shape(member.point), member.parameters[None], member.running[None]) for member in chosen
    ]
    return HeadFit(nets, chosen, trainer.shift, trainer.inverse, question.kind == "multilabel")


def _scaling(features: torch.Tensor, parts: torch.Tensor, settings: HeadSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Shift and scale (K, F) of each fold; of sequences over all their frames."""
    if features.ndim == 2:
        return fit_scaling(features, parts, settings.scaling)
    there = ~features[..., 0].isnan()
    return fit_scaling(features[there], parts.repeat_interleave(there.sum(1), 1), settings.scaling)


def _first_best(members: Sequence[Member]) -> Member:
    return max(members, key=lambda member: member.score)


class _Trainer:
    """Trains members of one question in stacks."""

    def __init__(self, features: torch.Tensor, question: Question, settings: HeadSettings):
        self.features, self.question, self.settings = features, question, settings
        parts = torch.zeros(len(question.splits), len(features), dtype=torch.bool)
        for fold, split in enumerate(question.splits):
            if not len(split.train) or (settings.keep == "best" and not len(split.valid)):
                raise ValueError(f"fold {fold} has no training or no validation rows")
            parts[fold, split.train] = True
        shift, scale = _scaling(features, parts.to(features.device), settings)
        self.shift, self.inverse = shift.to(torch.float32), (1 / scale).to(torch.float32)
        self.multilabel = question.kind == "multilabel"
        # Of each fold's training rows in the loss; None: alike.
        self.say: torch.Tensor | None = None
        if settings.class_weight:
            self.say = torch.zeros(len(parts), len(features), device=features.device)
            for fold, split in enumerate(question.splits):
                weights = class_weights(np.asarray(question.labels)[split.train], question.n_classes)
                self.say[fold, split.train] = torch.from_numpy(weights).to(self.say)
        kind = np.float32 if self.multilabel else np.int64
        self.truth = torch.from_numpy(np.asarray(question.labels, dtype=kind)).to(features.device)

    def shape(self, point: Point) -> Shape:
        """The shape of the networks of a point."""
        settings, layers = self.settings, self.settings.layers or 1
        return Shape(
            layers, self.features.shape[-1] // layers, (settings.hidden_dim,) * point.hidden_layers,
            self.question.n_classes, settings.input_norm == "layer", settings.hidden_norm == "batch",
            settings.of_sequences,
        )  # fmt: skip

    def train(self, wanted: list[tuple[int, Point]]) -> list[Member]:
        """Train a network for each fold and point; those of one shape and number of steps go together."""
        stacks: dict[tuple[int, int], list[Member]] = defaultdict(list)
        members = []
        for fold, point in wanted:
            name = [self.question.seed, fold, point.hidden_layers, *point.init.encode(), round(point.lr * 1e9)]
            state = np.random.SeedSequence(name).generate_state(2, np.uint64)
            generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
            member = Member(fold, point, generator, np.random.Generator(np.random.SFC64(int(state[1]))))
            members.append(member)
            steps = -(-len(self.question.splits[fold].train) // self.settings.batch)
            stacks[point.hidden_layers, steps].append(member)
        for (_, steps), stack in stacks.items():
            # Adam steps through runs of one learning rate.
            self._stack(sorted(stack, key=lambda member: member.point.lr), steps)
        return members

    def _stack(self, members: list[Member], steps: int) -> None:
        settings, shape = self.settings, self.shape(members[0].point)
        first = torch.stack([shape.initial(member.generator, member.point.init) for member in members])
        net = StackedHead(shape, first.to(self.features.device))
        optimiser = StackedAdam(net, [member.point.lr for member in members])
        limit = settings.steps or settings.epochs * steps
        done = epoch = 0
        while done < limit:
            orders = [self._order(member, self.question.splits[member.fold]) for member in members]
            for step in range(min(steps, limit - done)):
                rows = [order[step * settings.batch : (step + 1) * settings.batch] for order in orders]
                self._gradient(net, members, rows)
                optimiser.step(self._schedule(done, epoch, limit))
                done += 1
            epoch += 1
            over = done >= limit
            if settings.keep == "last":
                continue
            if epoch % settings.check_every and not (over and members[0].parameters is None):
                continue
            stay = [number for number, member in enumerate(members) if self._check(net, number, member, epoch)]
            if not stay:
                return
            if len(stay) < len(members):
                members = [members[number] for number in stay]
                kept = torch.tensor(stay, device=self.features.device)
                net = net.take(kept)
                optimiser.keep(stay, kept, net)
        for number, member in enumerate(members):
            member.epochs = epoch
            if settings.keep == "last":
                member.epoch = epoch
                member.parameters, member.running = net.flat[number].clone(), net.running[number].clone()

    def _order(self, member: Member, split: Split) -> torch.Tensor:
        rows = torch.from_numpy(split.train)
        return rows[torch.randperm(len(rows), generator=member.generator)] if self.settings.shuffle else rows

    def _schedule(self, done: int, epoch: int, limit: int) -> float:
        """The learning rate of a step relative to the greatest."""
        settings = self.settings
        if settings.schedule == "constant":
            return 1.0
        if settings.schedule == "cosine_by_epoch":
            part = epoch / settings.epochs
        elif done < settings.warmup:
            return (done + 1) / settings.warmup
        else:
            part = (done - settings.warmup) / max(1, limit - settings.warmup)
        return settings.decay_to + (1 - settings.decay_to) * 0.5 * (1 + float(np.cos(np.pi * part)))

    def _gradient(self, net: StackedHead, members: list[Member], rows: list[torch.Tensor]) -> None:
        device, width = self.features.device, max(map(len, rows))
        index = torch.stack([torch.nn.functional.pad(each, (0, width - len(each)), value=-1) for each in rows])
        present = (index >= 0).to(torch.float32)
        mass = (present / present.sum(1, keepdim=True)).to(device)[..., None]
        index = index.clamp(min=0).to(device)
        folds = torch.tensor([member.fold for member in members], device=device)
        x = self.features.index_select(0, index.view(-1)).view(*index.shape, *self.features.shape[1:])
        if self.settings.scaling != "none":
            like = (len(members), *[1] * (x.ndim - 2), -1)
            x.sub_(self.shift[folds].view(like)).mul_(self.inverse[folds].view(like))
        share = mass
        if self.say is not None:
            # The weighted mean over the batch, as torch's cross entropy has it.
            share = self.say[folds[:, None], index][..., None] * (mass > 0)
            share = share / share.sum(1, keepdim=True)
        net.train_step(x, mass, DeltaOf(self.truth[index], share), self._masks(members, width, net.shape, device))

    def _masks(self, members: list[Member], width: int, shape: Shape, device: torch.device) -> list[torch.Tensor]:
        """Draw dropout masks (M, B, H) of each hidden layer, each member from its own generator."""
        if not self.settings.dropout:
            return []
        keep, masks = 1 - self.settings.dropout, []
        for units in shape.hidden:
            mask = torch.empty(len(members), width * units)
            for number, member in enumerate(members):
                # Four draws of 16 bits in each of 64.
                drawn = member.drop.bit_generator.random_raw(-(-width * units // 4)).view(np.int16)[: width * units]
                torch.lt(torch.from_numpy(drawn), round(keep * 65536) - 32768, out=mask[number])
            masks.append(mask.div_(keep).view(len(members), width, units).to(device))
        return masks

    def _check(self, net: StackedHead, number: int, member: Member, epoch: int) -> bool:
        """Score a member on its validation part, keep it if it is the best so far; tell whether it goes on."""
        fold = member.fold
        valid = torch.from_numpy(self.question.splits[fold].valid).to(self.features.device)
        one = net.take(torch.tensor([number], device=self.features.device))
        answers = _posterior(one, self.features[valid], self.shift[fold], self.inverse[fold], self.multilabel)
        score = self.question.score(fold, answers)
        member.checks, member.epochs = member.checks + 1, epoch
        if score > member.score or member.parameters is None:
            member.score, member.epoch, member.checks = score, epoch, 0
            member.parameters, member.running = one.flat[0], one.running[0]
        return self.settings.patience is None or member.checks < self.settings.patience
