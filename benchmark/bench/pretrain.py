"""How fast networks are fine-tuned on all folds under all strategies, against one after the other in one process.

Ours is what the stages do: a process a core, what is fixed computed once for all folds and epochs, images channels-last.
The plain loop (`benchmark.bench.pretrain_side`) trains every network under every strategy on every fold in turn.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence

import torch

from benchmark.bench.pretrain_side import FOLDS, NETWORKS, STRATEGIES, Share, Taken, measure
from benchmark.bench.report import BenchReport
from benchmark.engine.pool import default_workers, run_jobs
from benchmark.errors import UserError
from benchmark.training.settings import TrainSettings

# The default leaves out the one whose convolutions alone take minutes.
DEFAULT = tuple(name for name in NETWORKS if name != "ina-kc-mel")

_Pair = tuple[str, str]


def run(
    networks: Sequence[str] = (), strategies: Sequence[str] = (), *, clips: int = 320, epochs: int = 40,
    patience: int = 10, clock: str = "wall", threads: int = 0,
) -> BenchReport:  # fmt: skip
    """Train every network under every strategy on made inputs, by the plain loop and by ours.

    Args:
        networks: names in `NETWORKS`; `DEFAULT` if there are none.
        strategies: of `STRATEGIES`; the first three, the paper's freezing points, if there are none.
        clips: inputs of the task, 80 % of which train.
        epochs: of every training, at most.
        patience: epochs without a better validation accuracy after which a training stops.
        clock: `wall` (ours in a process a core) or `cpu` (both sides in this process with one thread; less disturbed by
            other work on the machine, and without what the processes bring).
        threads: of the plain loop by the clock; 0: one a core.

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
    settings = TrainSettings(max_epochs=epochs, patience=patience, stacked=False)
    cores = default_workers()
    threads = 1 if clock == "cpu" else threads or cores
    before = torch.get_num_threads()
    try:
        plain = {pair: measure(Share(*pair, clips, settings, True, threads)) for pair in pairs}
        started = time.perf_counter()
        ours = _ours([Share(*pair, clips, settings, False) for pair in pairs], clock, cores)
        elapsed = time.perf_counter() - started
    finally:
        torch.set_num_threads(before)
    rows = [_row(pair, plain[pair], ours[pair], clock) for pair in pairs]
    for strategy in strategies or STRATEGIES[:3]:
        both = [(plain[pair], ours[pair]) for pair in pairs if pair[1] == strategy]
        rows.append(_total("all", strategy, both, clock))
    both = [(plain[pair], ours[pair]) for pair in pairs]
    rows.append(_total("all", "all", both, clock, elapsed if clock == "wall" else None))
    return BenchReport(
        "Fine-tuning: all folds and strategies against one after the other", rows,
        _notes(clips, settings, clock, threads, cores),
    )  # fmt: skip


def _ours(shares: Sequence[Share], clock: str, cores: int) -> Mapping[_Pair, Taken]:
    if clock == "cpu":
        return {(share.network, share.strategy): measure(share) for share in shares}
    # The longest first, as the stage has it.
    order = sorted(shares, key=lambda share: (-STRATEGIES.index(share.strategy), -list(NETWORKS).index(share.network)))
    taken_by = {}
    for share, taken, reason in run_jobs(measure, order, cores):
        if reason is not None:
            raise UserError(f"leveret bench pretrain: {share.network}, {share.strategy}: {reason}")
        taken_by[share.network, share.strategy] = taken
    return taken_by


def _notes(clips: int, settings: TrainSettings, clock: str, threads: int, cores: int) -> list[str]:
    return [
        f"{FOLDS} folds, {clips} made inputs, batches of 64, at most {settings.max_epochs} epochs, patience "
        f"{settings.patience}; a random network is the pretrained one.",
        "plain: one network, strategy and fold after the other, the whole network in every step; the same weights, orders "
        "and rule of stopping on both sides.",
        (
            f"Wall seconds: the plain loop has {threads} threads, ours {cores} processes of one. The last row is from the "
            "beginning to the end, start of the processes included; in the others, ours shares the machine."
            if clock == "wall"
            else "Seconds of the processor, one thread on either side, in one process; a process a core comes on top of it."
        ),
        "epochs: mean over folds. errors: difference of the mean test accuracies in standard errors of the folds' "
        "difference.",
    ]  # fmt: skip


def _total(
    network: str, strategy: str, pairs: Sequence[tuple[Taken, Taken]], clock: str, whole: float | None = None
) -> dict[str, object]:
    """A line of some pairs of a plain and our side, which took their sum or the `whole`; accuracies are means over folds."""
    plain, ours = (sum(getattr(taken, clock) for taken in side) for side in zip(*pairs, strict=True))
    ours = ours if whole is None else whole
    scores = [(one, other) for two in pairs for one, other in zip(two[0].scores, two[1].scores, strict=True)]
    differences = [other - one for one, other in scores]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    mean = statistics.mean(differences)
    return {
        "network": network, "strategy": strategy, "plain (s)": plain, "ours (s)": ours, "ratio": plain / ours,
        "plain accuracy": statistics.mean(one for one, _ in scores),
        "our accuracy": statistics.mean(other for _, other in scores),
        "errors": mean / error if error > 0 else (0.0 if mean == 0 else None),
    }  # fmt: skip


def _row(pair: _Pair, plain: Taken, ours: Taken, clock: str) -> dict[str, object]:
    return {
        **_total(*pair, [(plain, ours)], clock),
        "plain epochs": statistics.mean(plain.epochs),
        "our epochs": statistics.mean(ours.epochs),
    }
