"""Figures 4 and 5: frame-wise accuracy of the networks on the source sets, by input, and with two and three classes."""

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.report.kehling.findings import NETS
from benchmark.report.kehling.runs import Cell, KehlingRuns

# Okabe and Ito's.
_COLOURS = ("#0072B2", "#D55E00", "#009E73")
_SIZE = (6.4, 3.6)

_Groups = Sequence[tuple[str, Sequence[Sequence[Cell] | None]]]


def draw_figure4(runs: KehlingRuns) -> Figure | None:
    """Mean accuracy per architecture and input over the source sets, every set as a point; None without any run."""
    groups = []
    for net in NETS:
        bars = []
        for features in ("mel", "mfcc"):
            cells = [runs.cell(runs.task(s.tasks), net, "scratch", features) for s in runs.paper.sources]
            found = [cell for cell in cells if cell is not None and cell.mean is not None]
            bars.append(found if getattr(runs.model(net), features) else None)
        groups.append((runs.model(net).title, bars))
    return _bars(groups, ("MelSpec", "MFCC"), "Speech or music: mean over the source sets")


def draw_figure5(runs: KehlingRuns) -> Figure | None:
    """Accuracy with two and with three classes per architecture, over the source sets with noise; None without any run."""
    groups = []
    for net in NETS:
        two, three = [], []
        for source in runs.paper.sources:
            if not source.three:
                continue
            pair = [runs.cell(runs.task(names), net, "scratch") for names in (source.tasks, source.three)]
            if all(cell is not None and cell.mean is not None for cell in pair):
                two.append(pair[0])
                three.append(pair[1])
        groups.append((runs.model(net).title, [two, three]))
    return _bars(groups, ("two classes", "three classes, with noise"), "Two classes against three")


def _sets(groups: _Groups) -> str:
    """The tasks that the bars are means over."""
    return ", ".join(dict.fromkeys(cell.task for _, bars in groups for cells in bars for cell in cells or ()))


def _bars(groups: _Groups, names: Sequence[str], title: str) -> Figure | None:
    """Bars a group; an empty one had no run, and for None the paper has no bar."""
    if not any(cells for _, bars in groups for cells in bars):
        return None
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    for b, name in enumerate(names):
        labelled = False
        for g, (_, bars) in enumerate(groups):
            cells, x = bars[b], g - 0.4 + width * (b + 0.5)
            if cells is None:
                continue
            if not cells:
                axes.text(x, 2, "no run", rotation=90, ha="center", va="bottom", fontsize=8, color="#666666")
                continue
            means = [cell.mean for cell in cells]
            spread = [cell.std or 0.0 for cell in cells]
            axes.bar(
                x,
                sum(means) / len(means),
                width * 0.92,
                color=_COLOURS[b],
                alpha=0.75,
                label=None if labelled else name,
            )
            shift = [(i - (len(cells) - 1) / 2) * width / 8 for i in range(len(cells))]
            axes.errorbar(
                [x + dx for dx in shift], means, yerr=spread, linestyle="", marker="o", markersize=3.5, capsize=2,
                color="#222222", linewidth=1,
            )  # fmt: skip
            labelled = True
    axes.set_xticks(range(len(groups)), [name for name, _ in groups])
    axes.set_ylabel("accuracy (%)")
    axes.set_xlabel(_sets(groups), fontsize=8, color="#666666")
    axes.set_ylim(0, 105)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    figure.suptitle(title, fontsize=11, fontweight="bold")
    figure.legend(loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    return figure
