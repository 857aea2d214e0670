"""Plots: one a task with every fold's score, one of all tasks, one of ranks. The same records give the same bytes."""

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from benchmark.config.keys import code_version, content_key
from benchmark.report.atomic import write_bytes
from benchmark.report.blocks import strategy_label
from benchmark.report.grid import Grid, preference, preferred_level
from benchmark.report.rank_plot import draw_ranks
from benchmark.report.records import RunRecord, Score
from benchmark.report.scales import metric_title, scale_of
from benchmark.report.standings import Standings

# Okabe and Ito's colours, which people with any kind of colour vision tell apart; markers say the same again.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_GREY = "#666666"
_DPI = 110
_KEY = "Content-Key"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.hashsalt": "leveret",
    "axes.unicode_minus": False,
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Plots:
    """Files drawn now, files that showed the same already, and files of tasks that are gone."""

    drawn: list[Path]
    kept: list[Path]
    removed: list[Path]


def write_plots(records: Iterable[RunRecord], folder: Path, svg: bool = False) -> Plots:
    """Draw overview.png, critical-difference.png and tasks/<task>.png, and remove those of tasks that are gone.

    A plot is left alone where a file is there that shows the same and was drawn by the same code.
    """
    of_task: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: record.identity):
        of_task.setdefault(record.task, []).append(record)
    # The folder is an output of the pipeline, with or without plots in it.
    folder.mkdir(parents=True, exist_ok=True)
    code = code_version("benchmark.report.plots")
    plots = Plots([], [], [])
    figures = {f"tasks/{task}": (found, draw_task) for task, found in of_task.items()}
    everything = [record for found in of_task.values() for record in found if record.kind != "separation"]
    if everything:
        figures["overview"] = everything, draw_overview
        significance = Standings(Grid(everything)).significance
        if significance is not None:
            figures["critical-difference"] = everything, lambda _: draw_ranks(significance)
    for name, (found, draw) in figures.items():
        paths = [folder / f"{name}{suffix}" for suffix in ((".png", ".svg") if svg else (".png",))]
        key = content_key([code, matplotlib.__version__, [_shown(record) for record in found]])
        if all(path.is_file() for path in paths) and _key_of(paths[0]) == key:
            plots.kept.extend(paths)
            continue
        with matplotlib.rc_context(_STYLE):
            figure = draw(found)
            # The PNG, which holds the key, comes last: a kill in between leaves the old key, and both are drawn again.
            for path in reversed(paths):
                write_bytes(path, _rendered(figure, path.suffix, key))
        plots.drawn.extend(paths)
    there = {
        path
        for pattern in ("overview.*", "critical-difference.*", "tasks/*")
        for path in folder.glob(pattern)
        if path.suffix in (".png", ".svg")
    }
    plots.removed.extend(sorted(there - set(plots.drawn) - set(plots.kept)))
    for path in plots.removed:
        path.unlink()
    return plots


def write_figure(draw: Callable[[], Figure | None], path: Path) -> bool:
    """Draw one figure into a PNG in the style of the report; whether there is anything to draw."""
    with matplotlib.rc_context(_STYLE):
        figure = draw()
        if figure is not None:
            write_bytes(path, _rendered(figure, path.suffix, ""))
    return figure is not None


def draw_task(records: Sequence[RunRecord]) -> Figure:
    """Mean ± std by embedding, best on top, and every fold's score; a colour a strategy and probe; hollow: controls."""
    scale, metric = scale_of(records[0].primary), records[0].primary
    level = preferred_level(records[0])
    records = [record for record in records if level in record.scores]
    variants = sorted({preference(record) for record in records})
    with_probe = len({record.probe for record in records}) > 1
    names = _by_best(records, level)
    titles = {record.embedding: _wrapped(record.label, 34) for record in records}
    step = 0.8 / len(variants)
    lines = sum(max(0.30 * len(variants) + 0.12, 0.17 * (titles[name].count("\n") + 1) + 0.1) for name in names)
    figure = Figure(figsize=(7.6, lines + 1.55), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, variant in enumerate(variants):
        runs = [record for record in records if preference(record) == variant]
        rows = [names.index(run.embedding) - 0.4 + step * (i + 0.5) for run in runs]
        _whiskers(axes, runs, level, rows, step, i)
    if records[0].chance is not None:
        axes.axvline(scale.factor * records[0].chance, color=_GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=0)
    axes.set_yticks(range(len(names)), [titles[name] for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.hlines(
        [y - 0.5 for y in range(1, len(names))],
        0,
        1,
        color="#eeeeee",
        linewidth=0.8,
        zorder=0,
        transform=axes.get_yaxis_transform(),
    )
    if scale.is_fraction:
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -2.0), min(high, 102.0))
    axes.set_xlabel(f"{metric_title(metric)}, {level} level")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(_wrapped(records[0].title, 70), fontsize=11, fontweight="bold")
    labels = [strategy_label(next(r for r in records if preference(r) == key), with_probe) for key in variants]
    handles = _handles(labels, records, level)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), frameon=False, fontsize=8)
    return figure


def draw_overview(records: Sequence[RunRecord]) -> Figure:
    """Heat map of tasks by embeddings: the colour is the score between chance and perfect, the text the score."""
    grid = Grid(records)
    rows, columns = len(grid.tasks), len(grid.embeddings)
    labels = [_wrapped(task.title, 40) for task in grid.tasks]
    height = sum(max(0.34, 0.17 * (label.count("\n") + 1) + 0.1) for label in labels)
    figure = Figure(figsize=(max(0.62 * columns + 4.0, 5.5), height + 2.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    values = [[_normalised(grid, task.name, name) for name in grid.embeddings] for task in grid.tasks]
    image = axes.imshow(
        [[float("nan") if value is None else value for value in row] for row in values],
        cmap="cividis",
        vmin=0,
        vmax=1,
        aspect="auto",
    )
    for y, task in enumerate(grid.tasks):
        for x, name in enumerate(grid.embeddings):
            cell = grid.cell(task.name, name)
            text = "–" if cell is None or cell.score.mean is None else cell.scale.number(cell.score.mean)
            is_dark = values[y][x] is not None and values[y][x] < 0.45
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if is_dark else "black")
    axes.set_xticks(range(columns), grid.embeddings, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(rows), labels)
    axes.tick_params(length=0)
    for y in range(1, rows):
        is_border = grid.tasks[y].domain != grid.tasks[y - 1].domain
        axes.axhline(y - 0.5, color="white", linewidth=4 if is_border else 0.8)
    for x in range(1, columns):
        axes.axvline(x - 0.5, color="white", linewidth=0.8)
    axes.spines[:].set_visible(False)
    figure.suptitle("Mean over folds; colour: between chance and a perfect score", fontsize=11, fontweight="bold")
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 3 / height), aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.5, 1], labels=["chance", "half-way", "perfect"], fontsize=8)
    return figure


def _whiskers(axes, runs: Sequence[RunRecord], level: str, rows: Sequence[float], step: float, variant: int) -> None:
    """The runs of one strategy and probe: folds as faint points under mean ± std, the control as hollow marks."""
    metric = runs[0].primary
    factor = scale_of(metric).factor
    colour, marker = _COLOURS[variant % len(_COLOURS)], _MARKERS[variant % len(_MARKERS)]
    scores = [run.scores[level][metric] for run in runs]
    folds = [
        (factor * value, y + 0.24 * step) for run, y in zip(runs, rows, strict=True) for value in _points(run, level)
    ]
    axes.plot(*zip(*folds, strict=True), marker, color=colour, markersize=3.2, alpha=0.45, markeredgewidth=0)
    means = {"fmt": marker, "color": colour, "markersize": 5.5, "capsize": 2.5, "linewidth": 1.4}
    _means(axes, scores, [y - 0.1 * step for y in rows], factor, **means)
    controls = [(run.shuffled or {}).get(level, {}).get(metric) for run in runs]
    hollow = {
        "fmt": marker,
        "color": _GREY,
        "markerfacecolor": "white",
        "markersize": 4.5,
        "linewidth": 0.8,
        "zorder": 1.5,
    }
    _means(axes, controls, [y - 0.1 * step for y in rows], factor, **hollow)


def _means(axes, scores: Sequence[Score | None], rows: Sequence[float], factor: float, **style) -> None:
    there = [(score, y) for score, y in zip(scores, rows, strict=True) if score is not None and score.mean is not None]
    if there:
        spread = [factor * (score.std or 0.0) for score, _ in there]
        axes.errorbar(
            [factor * score.mean for score, _ in there], [y for _, y in there], xerr=spread, linestyle="", **style
        )


def _handles(labels: Sequence[str], records: Sequence[RunRecord], level: str) -> list[Line2D]:
    handles = [
        Line2D(
            [],
            [],
            color=_COLOURS[i % len(_COLOURS)],
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=5.5,
            label=f"{label}: mean ± std",
        )
        for i, label in enumerate(labels)
    ]
    one = "one fold" if records[0].tracks is None else "one track"
    handles.append(Line2D([], [], color=_GREY, marker="o", linestyle="", alpha=0.6, markersize=3.2, label=one))
    if any(level in (record.shuffled or {}) for record in records):
        handles.append(
            Line2D([], [], color=_GREY, marker="o", markerfacecolor="white", markersize=4.5, label="shuffled labels")
        )
    if records[0].chance is not None:
        handles.append(Line2D([], [], color=_GREY, linestyle=(0, (4, 3)), linewidth=1, label="chance"))
    return handles


def _points(run: RunRecord, level: str) -> list[float]:
    """What is drawn beside the mean: every track of a separation (the mean over its sources), every fold of the rest."""
    if run.tracks is None:
        return [value for value in run.scores[level][run.primary].folds if value is not None]
    return run.track_scores()


def _by_best(records: Sequence[RunRecord], level: str) -> list[str]:
    """Embeddings, best first by their best run; those without a score last."""
    scale = scale_of(records[0].primary)
    best: dict[str, float] = {}
    for record in records:
        mean = record.scores[level][record.primary].mean
        if mean is not None and (record.embedding not in best or scale.is_better(mean, best[record.embedding])):
            best[record.embedding] = mean
    sign = -1 if scale.higher_is_better else 1
    names = {record.embedding for record in records}
    return sorted(names, key=lambda name: (name not in best, sign * best.get(name, 0.0), name))


def _normalised(grid: Grid, task: str, embedding: str) -> float | None:
    cell = grid.cell(task, embedding)
    return None if cell is None else cell.normalised


def _wrapped(text: str, width: int) -> str:
    # A dollar sign would start mathematics.
    return "\n".join(textwrap.wrap(text, width)).replace("$", r"\$") or " "


def _shown(record: RunRecord) -> dict:
    """What a plot can show of a record: all but its provenance, its data and its key."""
    fields = {
        "tracks",
        "task",
        "title",
        "domain",
        "embedding",
        "embedding_title",
        "strategy",
        "probe",
        "primary",
        "scores",
        "shuffled",
        "chance",
    }
    return record.model_dump(mode="json", include=fields)


def _rendered(figure: Figure, suffix: str, key: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Software": None, _KEY: key} if suffix == ".png" else {"Date": None, "Creator": None}
    figure.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _key_of(path: Path) -> str | None:
    """The key of what a PNG shows; None for one that is damaged."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.info.get(_KEY)
    except (OSError, SyntaxError):
        return None
