import re
from html.parser import HTMLParser

import pytest

from benchmark.report.html import write_page
from benchmark.report.plots import write_plots

VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Tags in order, with whether each end tag closes the last open one."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page(records, folder):
    write_plots(records, folder / "plots")
    write_page(records, folder / "index.html", folder / "plots")
    return (folder / "index.html").read_text(encoding="utf-8")


def test_the_page_stands_alone(records, tmp_path):
    text = page(records(2, 2, levels=("file", "frame")), tmp_path)
    parsed = Page(text)
    sources = [attributes[name] for _, attributes in parsed.tags for name in ("src", "href") if name in attributes]
    assert sources and all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    targets = {attributes.get("id") for _, attributes in parsed.tags}
    assert {source[1:] for source in sources if source.startswith("#")} <= targets


def test_scores_are_in_the_page_without_a_script(record, tmp_path):
    made = record(
        values=[0.61, 0.72, 0.83], clips={"used": 29, "lost": [{"id": "a.wav", "reason": "empty file"}]},
        reference={"paper": "Kehling & Cano", "metric": "accuracy", "value": 98.8, "std": 1.4},
    )  # fmt: skip
    text = re.sub(r"<script>.*?</script>", "", page([made], tmp_path), flags=re.DOTALL)
    shown = " ".join(" ".join(Page(text).text).split())
    for expected in (
        "72.0 ± 11.0",
        "61.0 72.0 83.0",
        "a.wav",
        "empty file",
        "98.8 ± 1.4",
        made.key,
        "versions numpy",
        "C = 1.0",
    ):
        assert expected in shown
    assert made.ingredients["weights"] in shown


@pytest.mark.parametrize("field", ["title", "embedding_title", "domain", "kind"])
def test_text_from_records_is_no_markup(record, tmp_path, field):
    text = page([record(**{field: '"><script>alert(1)</script>'})], tmp_path)
    assert "<script>alert" not in text and "alert(1)" in text
    Page(text)


def test_classes_clips_and_provenance_are_escaped(record, tmp_path):
    nasty = "<img src=x onerror=alert(1)>'\""
    made = record(
        classes=2, clips={"used": 1, "lost": [{"id": nasty, "reason": nasty}]}, provenance={nasty: nasty},
        reference={"paper": nasty, "metric": nasty, "values": {nasty: 1.0}},
    )  # fmt: skip
    made = made.model_copy(update={"classes": [nasty, "b"]})
    assert not [tag for tag, attributes in Page(page([made], tmp_path)).tags if "onerror" in attributes]


def test_the_matrix_of_many_classes_is_a_list_of_confusions(record, tmp_path):
    matrix = [[10 if i == j else 0 for j in range(31)] for i in range(31)]
    matrix[3][7] = 30
    text = page([record(classes=31, confusion={"file": matrix})], tmp_path)
    assert "Most frequent confusions" in text and 'class="heat matrix"' not in text
    shown = " ".join(" ".join(Page(text).text).split())
    assert "class 3 class 7 30 75" in shown


def test_cells_are_coloured_from_chance_to_perfect(record, tmp_path):
    text = page([record("t", "a", values=[0.75, 0.75]), record("t", "b", values=[0.4, 0.4])], tmp_path)
    assert "--h:50%" in text and "--h:0%" in text


def test_no_run_is_a_page_that_says_so(tmp_path):
    assert "No run is finished yet" in page([], tmp_path)


def test_the_same_records_give_the_same_page(records, tmp_path):
    made = records(2, 2)
    assert page(made, tmp_path / "a") == page(made[::-1], tmp_path / "b")


def test_times_leave_no_trace_in_the_page(record, tmp_path):
    def timed(seconds):
        return record(provenance={"device": "cpu", "seconds": {"probe": seconds}, "versions": {"numpy": "2.0"}})

    assert page([timed(1.25)], tmp_path / "a") == page([timed(77.5)], tmp_path / "b")
