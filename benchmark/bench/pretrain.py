"""How fast networks are fine-tuned on all folds under all strategies, against one after the other in a plain loop.

The plain loop is what one writes from the paper: for every strategy and fold the whole network runs in every step, on
batches of 64, with Adam; what is fixed gets no gradients. Ours makes what is fixed once, keeps images channels-last, and
gives every process a core. Both train the same number of epochs, each with its own random numbers.
"""

import copy
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import Standardizer
from benchmark.bench.report import BenchReport
from benchmark.embeddings.pretrained import FEATURES, MODELS
from benchmark.embeddings.trainable import Prepared, Trainable
from benchmark.engine.pool import default_workers, run_jobs
from benchmark.errors import UserError
from benchmark.metrics.folds import Split, make_splits
from benchmark.models.freezing import Freezable
from benchmark.training.settings import TrainSettings
from benchmark.training.transfer import Transferred, posteriors, stems, transfer

NETWORKS = {
    "dnn-mel": ("dnn", "mel128"),
    "swishnet-slim-mfcc": ("swishnet-slim", "mfcc22"),
    "swishnet-slim-mel": ("swishnet-slim", "mel128"),
    "vgg-like-mel": ("vgg-like", "mel128"),
    "ina-kc-mfcc": ("ina-kc", "mfcc21"),
    "ina-kc-mel": ("ina-kc", "mel128"),
}
# The default leaves out the one whose convolutions alone take minutes.
DEFAULT = tuple(name for name in NETWORKS if name != "ina-kc-mel")
STRATEGIES = ("frozen", "partial", "full", "scratch")
_POINTS = {"frozen": "FZ", "partial": "IN", "full": "FT"}
_FOLDS = 5
_CLASSES = 2


@dataclass(frozen=True)
class Share:
    """A network under a strategy, all folds.

    Attributes:
        network: one of `NETWORKS`.
        strategy: one of `STRATEGIES`.
        clips: number of made inputs.
        epochs: of training.
        plain: whether it is the plain loop.
        threads: of PyTorch.
    """

    network: str
    strategy: str
    clips: int
    epochs: int
    plain: bool
    threads: int = 1


@dataclass(frozen=True)
class Taken:
    """What a share took: seconds of the clock and of the processor, and the test accuracy of each fold."""

    wall: float
    cpu: float
    scores: tuple[float, ...]


def run(
    networks: Sequence[str] = (), strategies: Sequence[str] = (), *, clips: int = 400, epochs: int = 3,
    clock: str = "wall",
) -> BenchReport:  # fmt: skip
    """Train every network under every strategy on made inputs, by the plain loop and by ours.

    Args:
        networks: names in `NETWORKS`; `DEFAULT` if there are none.
        strategies: of `STRATEGIES`; the first three, the paper's freezing points, if there are none.
        clips: inputs of the task, 80 % of which train.
        epochs: of every training; nothing stops early.
        clock: `wall` (ours in a process a core, the plain loop with a thread a core) or `cpu` (both with one thread in
            this process; less disturbed by other work on the machine, and without what the processes bring).

    Raises:
        UserError: an unknown network, strategy or clock.
    """
    for what, given, known in (("network", networks, NETWORKS), ("strategy", strategies, STRATEGIES)):
        for name in given:
            if name not in known:
                raise UserError(f"leveret bench pretrain: {what} {name!r} is unknown; use one of {', '.join(known)}")
    if clock not in ("wall", "cpu"):
        raise UserError(f"leveret bench pretrain: --clock {clock}: unknown; use wall or cpu")
    pairs = [(network, strategy) for network in networks or DEFAULT for strategy in strategies or STRATEGIES[:3]]
    cores = default_workers()
    threads = cores if clock == "wall" else 1
    before = torch.get_num_threads()
    try:
        plain = {pair: measure(Share(*pair, clips, epochs, True, threads)) for pair in pairs}
        shares = [Share(*pair, clips, epochs, False) for pair in pairs]
        started = time.perf_counter()
        if clock == "wall":
            ours = {}
            for share, taken, reason in run_jobs(measure, shares, cores):
                if reason is not None:
                    raise UserError(f"leveret bench pretrain: {share.network}, {share.strategy}: {reason}")
                ours[share.network, share.strategy] = taken
        else:
            ours = {(share.network, share.strategy): measure(share) for share in shares}
        elapsed = time.perf_counter() - started
    finally:
        torch.set_num_threads(before)
    rows = [_row(pair, plain[pair], ours[pair], clock) for pair in pairs]
    whole = elapsed if clock == "wall" else sum(taken.cpu for taken in ours.values())
    plain_whole = sum(getattr(taken, clock) for taken in plain.values())
    rows.append({"network": "all", "plain (s)": plain_whole, "ours (s)": whole, "ratio": plain_whole / whole})
    notes = [
        f"{_FOLDS} folds, {clips} inputs, {epochs} epochs, batches of 64; made inputs; a random network is the pretrained one.",
        "plain: every strategy and fold after the other, the whole network in every step.",
        (
            f"Wall seconds: the plain loop has {cores} threads, ours {cores} processes of one; all of ours includes their start."
            if clock == "wall"
            else "Seconds of the processor, one thread on either side, in one process; a process a core comes on top of it."
        ),
        "errors: difference of the mean test accuracies in standard errors of the folds' difference.",
    ]
    return BenchReport("Fine-tuning: all folds and strategies against one after the other", rows, notes)


def measure(share: Share) -> Taken:
    """Train one network under one strategy on all folds."""
    torch.set_num_threads(share.threads)
    inputs, labels, trainable = made_task(share.network, share.clips)
    splits = make_splits([str(i) for i in range(share.clips)], labels, None, "stratified", _FOLDS)
    # Imports and the first call of a kernel are not the training's.
    with torch.no_grad():
        trainable.pretrained().eval().embed(inputs[:64])
    wall, cpu = time.perf_counter(), time.process_time()
    if share.plain:
        scores = _plain(trainable, inputs, labels, splits, share)
    elif share.strategy == "frozen":
        scores = _frozen(trainable, inputs, labels, splits, share)
    else:
        settings = TrainSettings(max_epochs=share.epochs, patience=share.epochs, stacked=False)
        outcomes = transfer(trainable, inputs, labels, splits, share.strategy, _CLASSES, settings)
        scores = [_accuracy(o.posterior, labels[s.test]) for o, s in zip(outcomes, splits, strict=True)]
    return Taken(time.perf_counter() - wall, time.process_time() - cpu, tuple(scores))


def made_task(network: str, clips: int) -> tuple[Tensor, np.ndarray, Trainable]:
    """Inputs (n, T, F) of two classes that overlap, their labels (n,), and a random network as a pretrained one."""
    model_name, features = NETWORKS[network]
    model = MODELS[model_name]
    size, bands = model.patches[features][0], FEATURES[features].build().size
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(clips) % _CLASSES
    inputs = torch.randn(clips, size, bands, generator=generator) * 10 - 30
    pattern = torch.randn(bands, generator=generator)
    inputs += torch.from_numpy(labels * 2.0 - 1).float()[:, None, None] * pattern * 1.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = Prepared(model.build(bands, _CLASSES), Standardizer.fit(inputs.flatten(0, 1)), model.channels_first)

    def fresh(classes: int, training: Tensor) -> Freezable:
        return Prepared(model.build(bands, classes), Standardizer.fit(training.flatten(0, 1)), model.channels_first)

    return inputs, labels, Trainable(1, first.dim, lambda *_: inputs, lambda: copy.deepcopy(first), fresh)


def _frozen(trainable: Trainable, inputs: Tensor, labels: np.ndarray, splits: list[Split], share: Share) -> list[float]:
    """The frozen strategy as the stages run it: vectors once, then the mlp probe on all folds together."""
    from benchmark.config.schema_probe import MlpSettings
    from benchmark.probes.data import FrameTable
    from benchmark.probes.run import run_probe

    net = trainable.pretrained().eval()
    with torch.no_grad():
        vectors = torch.cat([net.rest(part) for part in stems(net, inputs, "cpu").split(256)]).numpy()
    table = FrameTable.from_clips(list(vectors[:, None]), vectors)
    settings = MlpSettings(max_epochs=share.epochs, patience=share.epochs)
    return run_probe(table, labels, splits, "mlp", settings).scores["file"]["accuracy"]


def _plain(trainable: Trainable, inputs: Tensor, labels: np.ndarray, splits: list[Split], share: Share) -> list[float]:
    """The loop that one writes from the paper; returns the test accuracy of each fold at its best epoch."""
    targets = torch.from_numpy(labels)
    orders = np.random.default_rng(0)
    scores = []
    for split in splits:
        net: nn.Module
        if share.strategy == "scratch":
            net = trainable.fresh(_CLASSES, inputs[split.train])
        else:
            pretrained = trainable.pretrained()
            pretrained.freeze(_POINTS[share.strategy])
            net = Transferred(pretrained, trainable.dim, (128,), _CLASSES, behind_stem=False)
        optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-3)
        best, kept = -1.0, {}
        for _ in range(share.epochs):
            net.train()
            for rows in torch.from_numpy(orders.permutation(split.train)).split(64):
                if len(rows) < 2:
                    continue
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(inputs[rows]), targets[rows]).backward()
                optimiser.step()
            score = _accuracy(posteriors(net, inputs, split.valid, "cpu"), labels[split.valid])
            if score > best:
                best, kept = score, copy.deepcopy(net.state_dict())
        net.load_state_dict(kept)
        scores.append(_accuracy(posteriors(net, inputs, split.test, "cpu"), labels[split.test]))
    return scores


def _accuracy(posterior: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(posterior.argmax(1) == labels))


def _row(pair: tuple[str, str], plain: Taken, ours: Taken, clock: str) -> dict[str, object]:
    seconds, own = getattr(plain, clock), getattr(ours, clock)
    differences = [one - other for one, other in zip(ours.scores, plain.scores, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    mean = statistics.mean(differences)
    return {
        "network": pair[0],
        "strategy": pair[1],
        "plain (s)": seconds,
        "ours (s)": own,
        "ratio": seconds / own,
        "plain accuracy": statistics.mean(plain.scores),
        "our accuracy": statistics.mean(ours.scores),
        "errors": mean / error if error > 0 else (0.0 if mean == 0 else None),
    }
