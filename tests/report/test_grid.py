import pytest

from benchmark.report.grid import Grid


def test_the_choice_of_a_run_does_not_look_at_scores(record):
    runs = [
        record("t", "e", "frozen", "mlp", values=[0.99] * 5),
        record("t", "e", "frozen", "logistic", values=[0.5] * 5, levels=("frame", "file")),
        record("t", "e", "full", "logistic", values=[1.0] * 5),
    ]
    for some in (runs, runs[::-1]):
        cell = Grid(some).cell("t", "e")
        assert (cell.record.strategy, cell.record.probe, cell.level) == ("frozen", "logistic", "file")
        assert cell.is_first_choice and cell.text == "50.0 ± 0.0"


def test_a_later_choice_than_others_is_marked(record):
    grid = Grid([record("t", "a"), record("t", "b", "scratch", values=[0.5, 0.5])])
    assert grid.cell("t", "a").is_first_choice
    assert grid.cell("t", "b").text == "50.0 ± 0.0 †"


def test_ranks_and_averages(record):
    grid = Grid(
        [
            record("t1", "a", values=[0.9] * 2), record("t1", "b", values=[0.9] * 2),
            record("t1", "c", values=[0.8] * 2),
            record("t2", "a", values=[0.5] * 2, domain="music"), record("t2", "c", values=[0.7] * 2, domain="music"),
        ]
    )  # fmt: skip
    assert grid.domains == ["speech", "music"]
    assert grid.mean_rank("a").mean == pytest.approx((1.5 + 2) / 2)
    assert grid.mean_rank("b").mean == 1.5 and grid.mean_rank("b").text(1.0) == "1.5 (1/2)"
    assert grid.mean_rank("c").mean == pytest.approx((3 + 1) / 2)
    assert grid.embeddings == ["b", "a", "c"]
    assert grid.average("a").text() == "70.0"
    assert grid.average("b").text() == "90.0 (1/2)"
    assert grid.average("b", "music").text() == "–"
    assert grid.best("t1").record.embedding == "a"


def test_tasks_in_decibels_or_errors_are_ranked_but_not_averaged(record):
    def other(task, embedding, metric, value):
        return record(
            task,
            embedding,
            primary=metric,
            scores={"file": {metric: {"folds": [value] * 2, "mean": value, "std": 0.0}}},
        )

    grid = Grid(
        [
            other("t", "a", "eer", 0.1),
            other("t", "b", "eer", 0.3),
            other("u", "a", "si_sdr", 9.0),
            other("u", "b", "si_sdr", 12.0),
        ]
    )
    assert grid.average("a").mean is None
    assert grid.mean_rank("a").mean == 1.5 and grid.mean_rank("b").mean == 1.5
    assert grid.best("t").record.embedding == "a" and grid.best("u").record.embedding == "b"


def test_a_score_that_is_not_defined_is_no_rank(record):
    nothing = {"file": {"accuracy": {"folds": [None], "mean": None, "std": None}}}
    grid = Grid([record("t", "a", scores=nothing), record("t", "b")])
    assert grid.mean_rank("a").mean is None and grid.mean_rank("b").mean == 1
    assert grid.embeddings == ["b", "a"]
    assert grid.best("t").record.embedding == "b"
    assert Grid([record("t", "a", scores=nothing)]).best("t") is None
