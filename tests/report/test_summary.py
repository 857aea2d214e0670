import json
from types import SimpleNamespace

from rich.console import Console

from benchmark.engine.outcome import Failure, Outcome
from benchmark.report.summary import failure_table, print_check, print_listing, print_outcome, print_summary, summary


def text_of(renderable, width=120):
    console = Console(width=width, markup=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_seven_embeddings_fit_120_columns_in_one_table(records):
    text = text_of(summary(records(4, 7)))
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("mean rank") == 1
    for record in records(4, 7):
        score = record.scores["file"]["accuracy"]
        assert f"{100 * score.mean:.1f} ± {100 * score.std:.1f}" in text
    assert "chance" in text and "logistic before mlp" in text


def test_more_embeddings_than_fit_go_below(record):
    made = [record("t", f"an-embedding-with-a-long-name-{i}") for i in range(20)]
    for width in (60, 80, 120):
        text = text_of(summary(made, width), width)
        assert max(map(len, text.splitlines())) <= width
        assert text.count("±") == 20 + 1
        assert "…" not in text


def test_metrics_are_named_where_they_differ(record):
    other = {"file": {"macro_f1": {"folds": [0.5, 0.6], "mean": 0.55, "std": 0.07}}}
    text = text_of(summary([record("a"), record("b", primary="macro_f1", scores=other)]))
    assert "accuracy (%)" in text and "macro f1 (%)" in text
    assert "metric" not in text_of(summary([record("a")]))


def test_gaps_and_partial_means_are_marked(record):
    text = text_of(summary([record("a", "x"), record("b", "x"), record("a", "y")]))
    assert "–" in text and "‡: over a part of the tasks" in text
    assert text_of(summary([])) == "No run is finished yet.\n"


def test_brackets_in_titles_are_no_markup(record, capsys):
    print_summary([record(title="[red]a[/red]")])
    assert "[red]a[/red]" in capsys.readouterr().out


def test_failures_are_whole_and_sorted():
    reason = "tasks/a.yaml: folds: k is 5, but class [b] has 3 clips; " + "x" * 200
    text = text_of(failure_table([Failure("b", "late"), Failure("a x [e]", reason)]))
    assert text.index("a x [e]") < text.index("late")
    assert "".join(text.split()).count("x") == 201 + 0
    assert max(map(len, text.splitlines())) <= 120


def test_an_outcome_is_its_notes_failures_and_one_line_of_counts(capsys):
    print_outcome("probe", Outcome(3, 4, [Failure("a", "b")], ["a note"]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "a note" and lines[-1] == "probe: 3 computed, 4 reused, 1 failed"


def test_a_listing_is_a_table_or_json(capsys):
    rows = {"tasks": [{"name": "a", "in profile": True, "dim": None}], "datasets": []}
    print_listing(rows)
    shown = capsys.readouterr().out
    assert "tasks: 1" in shown and "in profile" in shown and "yes" in shown and "datasets: 0" in shown
    print_listing(rows, json=True)
    assert json.loads(capsys.readouterr().out) == rows


def test_a_check_says_what_is_there_and_each_problem_on_one_line(capsys):
    fold = {"train": 8, "valid": 1, "test": 1, "largest class in test": 0.5}
    there = SimpleNamespace(
        name="a", clips=10, classes={"x": 5, "y": 5}, groups=3, folds=[fold], resolved={"label": "x"}
    )
    absent = SimpleNamespace(name="b", clips=None, classes={}, groups=None, folds=[], resolved={})
    dataset = SimpleNamespace(name="d", clips=10, hours=1.5, lost={}, duplicates=[], warnings=["two files are silent"])
    problem = "tasks/c.yaml: folds: k: " + "long " * 60
    counts = {"tasks": 2}
    print_check(SimpleNamespace(problems=[problem], counts=counts, tasks=[there, absent], datasets=[dataset]))
    out, err = capsys.readouterr()
    assert err == problem + "\n"
    for expected in (
        "a: 10 clips in 3 groups: x 5, y 5",
        "b: its data are not here yet",
        "label: x",
        "1.50 h",
        "two files are silent",
    ):
        assert expected in out
    assert out.endswith("2 tasks: 1 problem\n")
    print_check(SimpleNamespace(problems=[], counts=counts, tasks=[there], datasets=[]))
    out = capsys.readouterr().out
    assert "largest class in test" in out and out.endswith("2 tasks: all well\n")
