from rich.console import Console

from benchmark.report.summary import print_summary, summary


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


def test_seven_embeddings_with_wide_spreads_fit_too(record):
    made = [record(f"a-task-with-a-long-name-{i}", f"e{j}", values=[0.7, 0.9]) for i in range(2) for j in range(7)]
    text = text_of(summary(made))
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("80.0 ± 14.1") == 14 and text.count("mean rank") == 1


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
    assert "–" in text and "‡: over a part of the tasks" in " ".join(text.split())
    assert text_of(summary([])) == "No run is finished yet.\n"


def test_brackets_in_titles_are_no_markup(record, capsys):
    print_summary([record(title="[red]a[/red]")])
    assert "[red]a[/red]" in capsys.readouterr().out
