import subprocess
import sys
from pathlib import Path

from benchmark.report import build_report


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_everything_is_written_and_a_second_report_is_the_same(records, tmp_path):
    made, out = records(3, 2, levels=("file", "frame")), tmp_path / "results"
    report = build_report(made[::-1], out)
    assert report.records == made
    assert set(report.files) == {out / path for path in contents(out)}
    names = {str(path) for path in contents(out)}
    assert {"leaderboard.csv", "metrics.json", "index.html", "tables/overview.md", "plots/tasks/task-02.png"} <= names
    before = contents(out)
    again = build_report(made, out)
    assert contents(out) == before and again.drawn == [] and len(again.kept) == 4
    other = build_report(made, tmp_path / "elsewhere")
    assert contents(tmp_path / "elsewhere") == before and len(other.drawn) == 4


def test_a_task_that_is_gone_leaves_no_trace(records, tmp_path):
    out = tmp_path / "results"
    build_report(records(3, 2), out)
    report = build_report([record for record in records(3, 2) if record.task != "task-01"], out)
    assert {path.name for path in report.removed} == {"task-01.md", "task-01.tex", "task-01.png"}
    assert not [path for path, data in contents(out).items() if b"task-01" in data or "task-01" in str(path)]


def test_no_records_are_an_empty_report(tmp_path):
    report = build_report([], tmp_path)
    assert report.records == [] and (tmp_path / "leaderboard.csv").read_text().startswith("task,")
    # Outputs of the pipeline: it fails where one is not there.
    assert all((tmp_path / name).exists() for name in ("metrics.json", "tables", "plots", "index.html"))


def test_reporting_needs_no_torch_and_records_no_matplotlib():
    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys, benchmark.report.build, benchmark.report.compare_text, benchmark.report.revisions\n"
        "assert 'torch' not in sys.modules and 'librosa' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
    code = (
        "import sys, benchmark.report.records, benchmark.report.summary\n"
        "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
