"""What `leveret list` prints: rows that can be read at 120 columns, with nothing left out."""

import json

from benchmark.console import print_listing

ROWS = [
    {"name": "a", "title": "A task", "kind": "multiclass", "dataset": "d", "metric": "accuracy", "folds": "5 grouped",
     "verified": False, "probes": "", "reference": "none: nobody has" + " asked" * 40, "in profile": True},
    {"name": "a-long-name", "title": "Another", "kind": "events", "dataset": "d", "metric": "eer", "folds": "official",
     "verified": True, "probes": "cosine", "reference": "98 (somebody, unverified)", "in profile": False},
]  # fmt: skip


def test_a_row_is_a_line_of_columns_and_the_rest_in_words(capsys):
    print_listing({"tasks": ROWS}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "2 tasks"
    assert lines[1].split() == ["name", "kind", "dataset", "metric", "folds"]
    events = next(line for line in lines if line.startswith("a-long-name"))
    assert lines[2].index("multiclass") == lines[1].index("kind") == events.index("events")
    assert max(map(len, lines)) <= 120
    text = " ".join(" ".join(lines).split())
    assert "A task; not verified; reference: none: nobody has asked" in text and "asked; in profile" in text
    assert text.endswith("Another; verified; probes: cosine; reference: 98 (somebody, unverified); not in profile")


def test_machines_get_everything(capsys):
    print_listing({"tasks": ROWS}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"tasks": ROWS}


def test_nothing_is_a_line(capsys):
    print_listing({"datasets": []}, as_json=False)
    assert capsys.readouterr().out.split() == ["0", "datasets"]
