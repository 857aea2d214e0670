"""The paper's six findings as declared tests: what is compared was fixed before any number of ours was there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.stats import friedmanchisquare

from benchmark.report.kehling.runs import Cell, KehlingRuns

NETS = ("ina", "vgg", "swishnet")
_ALPHA = 0.05


@dataclass(frozen=True)
class Part:
    """One comparison of a finding: what was found, and whether it agrees; None where a run is missing."""

    text: str
    holds: bool | None


@dataclass(frozen=True)
class Finding:
    """A statement of the paper, how it is tested, and what came out."""

    number: int
    statement: str
    test: str
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> str:
        """In words."""
        known = [part.holds for part in self.parts if part.holds is not None]
        if not known:
            return "cannot be tested"
        if all(known):
            return "holds" if len(known) == len(self.parts) else "holds where it can be tested"
        return "holds in part" if any(known) else "does not hold"


def findings(runs: KehlingRuns) -> list[Finding]:
    """All six, on the runs at hand."""
    return [
        Finding(i + 1, statement, test, tuple(function(runs)))
        for i, (statement, test, function) in enumerate(_DECLARED)
    ]


def _best_is_openl3(runs: KehlingRuns) -> list[Part]:
    parts = []
    for target in runs.paper.targets:
        if target.role == "singer-gender":
            continue
        task = runs.task(target.tasks)
        openl3 = _mean(runs.cell(task, "openl3", "frozen"))
        cells = {
            f"{runs.model(model).title}, {strategy}": cell
            for model, strategies in runs.paper.table2[target.role].items()
            for strategy in strategies
            if (cell := _mean(runs.cell(task, model, strategy))) is not None
        }
        if openl3 is None or len(cells) < 2:
            parts.append(Part(f"{runs.titled(target)}: {_missing(runs, 'openl3')}", None))
            continue
        name = max(cells, key=lambda key: cells[key].mean)
        best = cells[name]
        parts.append(
            Part(
                f"{runs.titled(target)}: OpenL3 {_text(openl3)}, the best ({name}) {_text(best)}",
                openl3.mean >= best.mean - (best.std or 0.0),
            )
        )
    return parts


def _no_difference(runs: KehlingRuns) -> list[Part]:
    blocks: list[tuple[float, ...]] = []
    names = []
    for source in runs.paper.sources:
        cells = [runs.cell(runs.task(source.tasks), net, "scratch") for net in NETS]
        there = [cell for cell in cells if cell is not None]
        if len(there) < len(NETS) or len({len(cell.folds) for cell in there}) > 1:
            continue
        names.append(there[0].task)
        blocks += list(zip(*(cell.folds for cell in there), strict=True))
    if len(blocks) < 3:
        return [Part("a source task has no runs of all three networks", None)]
    columns = list(zip(*blocks, strict=True))
    p = 1.0 if all(len(set(block)) == 1 for block in blocks) else float(friedmanchisquare(*columns).pvalue)
    means = ", ".join(f"{runs.model(net).title} {fmean(column):.1f}" for net, column in zip(NETS, columns, strict=True))
    return [Part(f"{', '.join(names)}: {means}; Friedman over {len(blocks)} folds: p = {p:.3g}", p > _ALPHA)]


def _pretraining_helps(runs: KehlingRuns) -> list[Part]:
    task = runs.task(runs.paper.targets[0].tasks)
    parts = []
    for net in NETS:
        title = runs.model(net).title
        helped = [c for s in ("frozen", "partial") if (c := _mean(runs.cell(task, net, s))) is not None]
        scratch = _mean(runs.cell(task, net, "scratch"))
        if not helped or scratch is None:
            parts.append(Part(_missing(runs, net), None))
            continue
        best = max(helped, key=lambda cell: cell.mean)
        text = f"{title}: {best.strategy} {_text(best)}, from scratch {_text(scratch)}"
        if net == "swishnet":
            spread = math.sqrt(((best.std or 0.0) ** 2 + (scratch.std or 0.0) ** 2) / 2)
            parts.append(Part(text, abs(best.mean - scratch.mean) <= spread))
        else:
            parts.append(Part(text, best.mean > scratch.mean))
    return parts


def _dnn_is_better(runs: KehlingRuns) -> list[Part]:
    parts = []
    for target in runs.paper.targets:
        if target.role not in ("accompaniment", "ensemble-size"):
            continue
        task = runs.task(target.tasks)
        dnn = _mean(runs.cell(task, "dnn", "scratch"))
        for model in (*NETS, "openl3"):
            cell = _mean(runs.cell(task, model, "frozen"))
            title = f"{runs.titled(target)}: {runs.model(model).title}"
            if cell is None or dnn is None:
                parts.append(Part(f"{runs.titled(target)}: {_missing(runs, model if cell is None else 'dnn')}", None))
                continue
            better = cell.mean > dnn.mean
            parts.append(
                Part(f"{title}, frozen, {_text(cell)}, DNN {_text(dnn)}", better if model == "openl3" else not better)
            )
    return parts


def _trainable_layers(runs: KehlingRuns) -> list[Part]:
    means: dict[str, dict[str, float]] = {}
    for net in NETS:
        of_net = {}
        for strategy in ("frozen", "partial", "full"):
            cells = [_mean(runs.cell(runs.task(t.tasks), net, strategy)) for t in runs.paper.targets]
            if all(cell is not None for cell in cells):
                of_net[strategy] = fmean(cell.mean for cell in cells if cell is not None)
        if len(of_net) == 3:
            means[net] = of_net
    parts = []
    swish, vgg = means.get("swishnet"), means.get("vgg")
    if swish is None:
        parts.append(Part("SwishNet: a strategy is missing on a target task", None))
    else:
        parts.append(
            Part(
                f"SwishNet, mean over target tasks: {_steps(swish)}", swish["frozen"] < swish["partial"] < swish["full"]
            )
        )
    spans = {net: _span(runs, net) for net in means}
    if len(spans) < len(NETS):
        parts.append(Part("INA: a strategy of one of the networks is missing on a target task", None))
    else:
        text = ", ".join(f"{runs.model(net).title} {span:.1f}" for net, span in spans.items())
        parts.append(
            Part(
                f"range over the strategies, mean over target tasks: {text} points", max(spans, key=spans.get) == "ina"
            )
        )
    if vgg is None:
        parts.append(Part("VGG-like: a strategy is missing on a target task", None))
    else:
        parts.append(
            Part(f"VGG-like, mean over target tasks: {_steps(vgg)}", vgg["partial"] >= max(vgg["frozen"], vgg["full"]))
        )
    return parts


def _inputs_and_classes(runs: KehlingRuns) -> list[Part]:
    pairs = [
        (mel.mean, mfcc.mean)
        for source in runs.paper.sources
        for net in ("ina", "swishnet")
        if (mel := _mean(runs.cell(runs.task(source.tasks), net, "scratch", "mel"))) is not None
        and (mfcc := _mean(runs.cell(runs.task(source.tasks), net, "scratch", "mfcc"))) is not None
    ]
    if pairs:
        mel, mfcc = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
        parts = [Part(f"mean over {len(pairs)} pairs: MelSpec {mel:.1f}, MFCC {mfcc:.1f}", mel > mfcc)]
    else:
        parts = [Part("no network has runs on both MelSpec and MFCC", None)]
    for source in runs.paper.sources:
        if not source.three:
            continue
        for net in NETS:
            two = _mean(runs.cell(runs.task(source.tasks), net, "scratch"))
            three = _mean(runs.cell(runs.task(source.three), net, "scratch"))
            title = f"{runs.titled(source)}, {runs.model(net).title}"
            if two is None or three is None:
                parts.append(Part(f"{runs.titled(source)}, {_missing(runs, net)}", None))
            else:
                parts.append(Part(f"{title}: two classes {_text(two)}, three {_text(three)}", three.mean < two.mean))
    return parts


_DECLARED: Sequence[tuple[str, str, Callable[[KehlingRuns], list[Part]]]] = (
    (
        "OpenL3 is the best, or within one standard deviation of the best, on every target task but singer gender.",
        "Its mean is no lower than the best cell's mean less that cell's standard deviation.",
        _best_is_openl3,
    ),
    (
        "The three architectures do not differ significantly on the source task.",
        "Friedman test over the folds of all source sets that have runs of all three, from scratch: p > 0.05.",
        _no_difference,
    ),
    (
        "On S&S, pretraining helps INA and VGG-like and leaves SwishNet about where it was.",
        "The better of frozen and partly trained is above the original from scratch; for SwishNet, within one pooled "
        "standard deviation of it.",
        _pretraining_helps,
    ),
    (
        "On accompaniment and ensemble size no embedding pretrained on speech/music, frozen, beats the plain DNN; OpenL3 does.",
        "Comparison of means.",
        _dnn_is_better,
    ),
    (
        "More trainable layers help SwishNet; INA is unstable; VGG-like is best in the intermediate state.",
        "Means over the four target tasks: SwishNet rises from frozen over partly to fully trained; INA's range over the "
        "three is the widest of the networks'; VGG-like partly trained is the highest of its three.",
        _trainable_layers,
    ),
    (
        "MelSpec is slightly better than MFCC on average; three classes are harder than two everywhere.",
        "Means of INA and SwishNet from scratch over the source sets with both inputs; for every network and source set "
        "with noise, accuracy with three classes is below that with two.",
        _inputs_and_classes,
    ),
)


def _mean(cell: Cell | None) -> Cell | None:
    return cell if cell is not None and cell.mean is not None else None


def _missing(runs: KehlingRuns, model: str) -> str:
    return f"{runs.model(model).title}: {runs.why_not(model)}"


def _span(runs: KehlingRuns, net: str) -> float:
    spans = []
    for target in runs.paper.targets:
        task = runs.task(target.tasks)
        found = [_mean(runs.cell(task, net, s)) for s in ("frozen", "partial", "full")]
        there = [cell.mean for cell in found if cell is not None]
        spans.append(max(there) - min(there))
    return fmean(spans)


def _text(cell: Cell) -> str:
    return f"{cell.mean:.1f}" if cell.std is None else f"{cell.mean:.1f} ± {cell.std:.1f}"


def _steps(means: dict[str, float]) -> str:
    return f"frozen {means['frozen']:.1f}, partial {means['partial']:.1f}, full {means['full']:.1f}"
