"""Kehling & Cano beside ours: the paper's own numbers, fed in as runs, must come out without a difference."""

import csv
import io
import math

import numpy as np
import pytest

from benchmark.report.build import build_report
from benchmark.report.kehling.findings import findings
from benchmark.report.kehling.paper import paper
from benchmark.report.kehling.runs import KehlingRuns
from benchmark.report.kehling.section import KehlingData
from benchmark.report.kehling.table1 import AudioFacts
from benchmark.report.kehling.table2 import compare, table2_csv
from tests.report.conftest import make_record

EMBEDDINGS = {
    "ina": "ina-kc-mel",
    "vgg": "vgg-like-mel",
    "swishnet": "swishnet-slim-mel",
    "openl3": "openl3-music-mel256-512",
    "dnn": "dnn-mel",
}


def folds(mean, std, k=5):
    """k scores with exactly this mean and sample standard deviation, in per cent."""
    shape = np.linspace(-1, 1, k)
    return (mean + std * shape / shape.std(ddof=1)) / 100


def papers_runs(without=(), tasks="kehling"):
    """A run for each cell of Table 2, with the paper's mean and spread."""
    records = []
    for target in paper().targets:
        task = target.tasks[0 if tasks == "kehling" else -1]
        for model, cells in paper().table2[target.role].items():
            for strategy, (mean, std) in cells.items():
                if model not in without:
                    records.append(
                        make_record(
                            task, EMBEDDINGS[model], strategy, "mlp", values=folds(mean, std), levels=("frame",)
                        )
                    )
    return records


def by_number(records, **absent):
    return {finding.number: finding for finding in findings(KehlingRuns(paper(), records, absent))}


def test_table_2_of_the_paper_against_itself_differs_nowhere():
    cells = compare(KehlingRuns(paper(), papers_runs()))
    assert len(cells) == 4 * (3 * 4 + 2)
    for cell in cells:
        assert cell.ours is not None
        assert cell.difference == pytest.approx(0, abs=1e-9)
        assert cell.standard_error == pytest.approx(cell.paper_std * math.sqrt(2 / 5))
        assert cell.distance == pytest.approx(0, abs=1e-9)


def test_a_difference_is_counted_in_standard_errors_of_both():
    records = [make_record("kehling-accompaniment", "vgg-like-mel", "full", "mlp", values=folds(82.7, 2.9))]
    cell = next(c for c in compare(KehlingRuns(paper(), records)) if c.ours is not None)
    assert cell.difference == pytest.approx(82.7 - 92.7)
    assert cell.distance == pytest.approx(-10 / math.sqrt((5.8**2 + 2.9**2) / 5))


def test_the_papers_numbers_support_its_findings():
    found = by_number(papers_runs())
    assert [found[n].verdict for n in (1, 3, 4, 5)] == ["holds"] * 4
    # Source tasks are shown as figures, without numbers.
    assert found[2].verdict == found[6].verdict == "cannot be tested"


def test_a_finding_that_the_numbers_contradict_does_not_hold():
    records = [record for record in papers_runs() if (record.embedding, record.strategy) != ("dnn-mel", "scratch")]
    tasks = [target.tasks[0] for target in paper().targets]
    records += [
        make_record(task, "dnn-mel", "scratch", "mlp", values=folds(30, 1), levels=("frame",)) for task in tasks
    ]
    finding = by_number(records)[4]
    assert finding.verdict == "holds in part"
    assert [part.holds for part in finding.parts] == [False, False, False, True] * 2


def test_without_weights_of_openl3_its_rows_say_so_and_the_rest_is_tested():
    runs = KehlingRuns(paper(), papers_runs(without=("openl3",)), {"openl3-music-mel256-512": "weights not here"})
    notes = {cell.note for cell in compare(runs) if cell.model == "openl3"}
    assert notes == {"weights not here"}
    verdicts = {finding.number: finding.verdict for finding in findings(runs)}
    assert verdicts[1] == "cannot be tested"
    assert verdicts[4] == "holds where it can be tested"


def test_own_data_come_before_the_rendered_counterpart():
    both = [*papers_runs(), *papers_runs(tasks="rendered")]
    assert {cell.task for cell in compare(KehlingRuns(paper(), both))} == {t.tasks[0] for t in paper().targets}
    rendered = compare(KehlingRuns(paper(), papers_runs(tasks="rendered")))
    assert {cell.task for cell in rendered} == {t.tasks[-1] for t in paper().targets}


def source_runs(task, means, features="mel"):
    names = {"ina": f"ina-kc-{features}", "vgg": "vgg-like-mel", "swishnet": f"swishnet-slim-{features}"}
    return [make_record(task, names[net], "scratch", "mlp", values=folds(mean, 1)) for net, mean in means.items()]


def test_findings_on_source_sets():
    same = {"ina": 95.0, "vgg": 95.0, "swishnet": 95.0}
    records = source_runs("kehling-musan", same) + source_runs("kehling-musan-noise", dict.fromkeys(same, 80.0))
    records += source_runs("kehling-musan", {"ina": 90.0, "swishnet": 91.0}, "mfcc")
    found = by_number(records)
    assert found[2].verdict == "holds"
    assert found[6].verdict == "holds where it can be tested"
    apart = source_runs("kehling-musan", {"ina": 60.0, "vgg": 80.0, "swishnet": 95.0})
    apart += source_runs("kehling-musan-noise", dict.fromkeys(same, 99.0))
    found = by_number(apart)
    assert found[2].verdict == "does not hold"
    assert found[6].verdict == "does not hold"


def test_the_csv_has_a_row_a_cell_and_no_number_where_there_is_none():
    rows = list(csv.DictReader(io.StringIO(table2_csv(KehlingRuns(paper(), papers_runs(without=("openl3",)))))))
    assert len(rows) == 56
    for row in rows:
        assert (row["our_mean"] == "") == (row["model"] == "openl3")
        assert (row["note"] == "no run") == (row["model"] == "openl3")


def test_the_report_writes_it_and_takes_it_away_again(tmp_path):
    facts = AudioFacts({"speech": 80, "music": 101}, {22050: 181}, {16: 181}, 45.3)
    data = KehlingData({}, {"slaney-scheirer": facts}, {})
    records = papers_runs() + source_runs("kehling-musan", {"ina": 95.0, "vgg": 95.0, "swishnet": 95.0})
    build_report(records, tmp_path, kehling=data)
    made = sorted(path.name for path in tmp_path.glob("*/kehling-*"))
    assert made == [
        "kehling-figure4.png",
        "kehling-findings.md",
        "kehling-table1.md",
        "kehling-table1.tex",
        "kehling-table2.csv",
        "kehling-table2.md",
        "kehling-table2.tex",
    ]
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "Which of its findings hold" in page
    table1 = (tmp_path / "tables" / "kehling-table1.md").read_text("utf-8")
    assert "music 101, speech 80 | 22050 | 16 | 45.3" in table1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    build_report(records, tmp_path, kehling=data)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    build_report([make_record()], tmp_path)
    assert not list(tmp_path.glob("*/kehling-*"))
    assert "Which of its findings hold" not in (tmp_path / "index.html").read_text("utf-8")
