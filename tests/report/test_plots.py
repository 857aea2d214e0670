import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from benchmark.report.plots import draw_overview, draw_task, write_plots

LONG = "A title with every layer and every data set that it ever saw, and one_word_without_any_blank_in_it_at_all"


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_the_same_records_give_the_same_bytes(records, tmp_path):
    made = records(1, 3)
    plots = write_plots(made, tmp_path / "a", svg=True)
    assert sorted(path.name for path in plots.drawn) == ["overview.png", "overview.svg", "task-00.png", "task-00.svg"]
    write_plots(made[::-1], tmp_path / "b", svg=True)
    for path in plots.drawn:
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes()
        assert b"<dc:date>" not in path.read_bytes()


def test_a_plot_is_drawn_again_only_where_what_it_shows_has_changed(record, tmp_path):
    made = [record("a", values=[0.8, 0.9]), record("b")]
    write_plots(made, tmp_path)
    unseen = record("a", values=[0.8, 0.9], provenance={"device": "cuda"}, key="0" * 16)
    assert write_plots([unseen, made[1]], tmp_path).drawn == []
    seen = record("a", values=[0.8, 0.90001])
    plots = write_plots([seen, made[1]], tmp_path)
    assert sorted(path.name for path in plots.drawn) == ["a.png", "overview.png"]
    assert [path.name for path in plots.kept] == ["b.png"]


def test_a_damaged_plot_is_drawn_again(record, tmp_path):
    (whole,) = [path for path in write_plots([record()], tmp_path).drawn if path.name == "speakers.png"]
    before = whole.read_bytes()
    whole.write_bytes(before[: len(before) // 2])
    assert whole in write_plots([record()], tmp_path).drawn
    assert whole.read_bytes() == before


def test_plots_of_tasks_that_are_gone_are_removed(record, tmp_path):
    write_plots([record("a"), record("b")], tmp_path, svg=True)
    (tmp_path / "tasks" / "mine.txt").write_text("x")
    plots = write_plots([record("a")], tmp_path)
    assert sorted(path.name for path in plots.removed) == ["a.svg", "b.png", "b.svg", "overview.svg"]
    plots = write_plots([], tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["mine.txt"]


@pytest.mark.parametrize("draw", [draw_task, draw_overview])
def test_nothing_is_cut_at_the_edges(record, draw):
    made = [
        record("t", f"e{i}", strategy, probe, embedding_title=f"{LONG} {i}", title=LONG, classes=4)
        for i in range(3)
        for strategy in ("frozen", "scratch")
        for probe in ("logistic", "mlp")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = pixels(draw(made))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()


def test_every_fold_mean_chance_and_control_is_shown(record):
    made = record(
        values=[0.60, 0.70, 0.80], shuffled={"file": {"accuracy": {"folds": [0.4, 0.5], "mean": 0.45, "std": 0.07}}}
    )
    axes = draw_task([made]).axes[0]
    shown = {round(float(x), 6) for line in axes.lines for x in line.get_xdata()}
    assert {60.0, 70.0, 80.0, 45.0, 50.0} <= shown
    assert axes.get_xlabel() == "accuracy (%), file level"


def test_the_best_embedding_is_on_top_whichever_way_is_better(record):
    def of(embedding, metric, value):
        return record(
            "t", embedding, primary=metric, scores={"file": {metric: {"folds": [value] * 2, "mean": value, "std": 0.0}}}
        )

    def labels(made):
        return [label.get_text() for label in draw_task(made).axes[0].get_yticklabels()]

    assert labels([of("a", "accuracy", 0.1), of("b", "accuracy", 0.3)]) == ["B", "A"]
    assert labels([of("b", "eer", 0.3), of("a", "eer", 0.1)]) == ["A", "B"]


def test_scores_that_are_missing_leave_room_and_no_error(record, tmp_path):
    nothing = {"file": {"accuracy": {"folds": [None, None], "mean": None, "std": None}}}
    one = {"file": {"accuracy": {"folds": [0.5], "mean": 0.5, "std": None}}}
    made = [
        record("t", "a", scores=nothing, shuffled=None),
        record("t", "b", scores=one, chance=None),
        record("u", "b"),
    ]
    plots = write_plots(made, tmp_path)
    assert len(plots.drawn) == 3
    with Image.open(tmp_path / "overview.png") as image:
        assert image.size[0] > 300


def test_signs_of_mathematics_in_titles_are_text(record):
    pixels(draw_task([record(title="$x^2 and \\frac{", embedding_title="a$b$_{")]))
