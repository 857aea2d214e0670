"""Critical-difference plot (Demšar 2006, Figure 1): mean ranks on a line, bars over what is not told apart."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.report.standings import Significance

_LINE, _BAR = "#222222", "#D55E00"
# Inches: a row of names, a bar, the line of ranks, a letter.
_ROW, _STEP, _WIDTH, _LETTER = 0.21, 0.11, 4.2, 0.075


def draw_ranks(found: Significance) -> Figure:
    """Mean ranks, the best on the left, names below in two columns; a bar joins what the difference does not tell apart."""
    count = len(found.embeddings)
    half = (count + 1) // 2
    depth = _STEP * (len(found.bars) + 1) + _ROW * half
    margin = _LETTER * max(map(len, found.embeddings)) + 0.75
    figure = Figure(figsize=(_WIDTH + 2 * margin, depth + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # Ranks an inch.
    unit = (count - 1) / _WIDTH
    axes.set_xlim(1 - margin * unit, count + margin * unit)
    axes.set_ylim(depth + 0.1, -0.75)
    axes.axis("off")
    axes.hlines(0, 1, count, color=_LINE, linewidth=1.2)
    for rank in range(1, count + 1):
        axes.vlines(rank, -0.07, 0, color=_LINE, linewidth=1)
        axes.text(rank, -0.11, str(rank), ha="center", va="bottom", fontsize=8)
    axes.hlines(-0.5, 1, 1 + found.difference, color=_BAR, linewidth=2)
    axes.text(1, -0.55, f"critical difference {found.difference:.2f}", ha="left", va="bottom", fontsize=8)
    for i, (first, last) in enumerate(found.bars):
        y = _STEP * (i + 1)
        axes.hlines(y, found.ranks[first] - 0.03 * unit, found.ranks[last] + 0.03 * unit, color=_BAR, linewidth=3)
    top = _STEP * (len(found.bars) + 1)
    for i, (name, rank) in enumerate(zip(found.embeddings, found.ranks, strict=True)):
        is_left = i < half
        # The last on the right comes first, so that lines do not cross.
        y = top + _ROW * ((i if is_left else count - 1 - i) + 0.5)
        side = -1 if is_left else 1
        end = (1 if is_left else count) + 0.2 * unit * side
        axes.plot([rank, rank, end], [0, y, y], color=_LINE, linewidth=0.7, solid_joinstyle="miter")
        text = f"{name}  {rank:.2f}" if is_left else f"{rank:.2f}  {name}"
        axes.text(
            end + 0.05 * unit * side,
            y,
            text.replace("$", r"\$"),
            ha="right" if is_left else "left",
            va="center",
            fontsize=8,
        )
    figure.suptitle(f"Mean ranks over {len(found.tasks)} tasks", fontsize=11, fontweight="bold")
    return figure
