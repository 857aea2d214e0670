"""Tasks of every kind from the YAML to the leaderboard: records, answers that score the same, and nothing stale."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmark.engine import extract as extract_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine.checking import check_project
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from benchmark.errors import ClipError, UserError
from benchmark.report.predictions import describe, rescore
from benchmark.report.records import read_record
from tests.engine.project import RATE, ROOT, edit, make_project, write

# Task -> what its YAML holds besides.
TASKS = {
    "low-or-high": {"label": "band", "metrics": ["accuracy", "macro_f1"], "levels": ["file", "frame"], "group": "speaker"},
    "few": {"label": "band", "probes": ["1-shot"]},
    "notes": {"label": "note", "metrics": ["chroma_accuracy", "accuracy"], "folds": {"kind": "stratified", "k": 3}},
    "tags": {"kind": "multilabel", "label": "tags", "metrics": ["map", "auroc", "d_prime", "macro_f1"], "levels": ["file", "frame"]},
    "height": {"kind": "regression", "label": "height", "metrics": ["pitch_accuracy", "r2", "mae"]},
    "both": {"kind": "slots", "label": ["band", "loud"]},
    "when": {"kind": "events", "label": "events", "metrics": ["segment_f1_100ms", "onset_f_200ms", "frame_f1"]},
    "who": {"kind": "verification", "label": "speaker", "metrics": ["eer", "min_dcf_0.05"]},
    "nearest": {"label": "band", "probes": ["cosine"], "metrics": ["map_at_10", "precision_at_1"]},
}  # fmt: skip


def make_clips(folder: Path, clips: int = 36) -> None:
    """A tone that comes on in noise, of four bands, loud or not; half of the labels of two tags are unknown."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = []
    for i in range(clips):
        band, loud = i % 4, i // 4 % 2
        start, height = round(float(rng.uniform(0.1, 0.5)), 2), 60 + 7 * band + float(rng.uniform(0, 1))
        t = np.arange(int(1.2 * RATE)) / RATE
        tone = np.sin(2 * np.pi * 440 * 2 ** ((height - 69) / 12) * t) * ((t >= start) & (t < start + 0.5))
        sound = (0.05 + 0.25 * loud) * tone + 0.01 * rng.standard_normal(len(t))
        soundfile.write(folder / f"{i:02}.wav", sound.astype(np.float32), RATE, subtype="PCM_16")
        tags = {"high": int(band > 1)} | ({"loud": loud} if i % 3 else {})
        rows.append(
            {
                "path": f"{i:02}.wav", "band": f"band{band}", "loud": str(loud), "note": f"n{60 + 4 * band}",
                "tags": json.dumps(tags), "height": f"{height:.3f}", "speaker": f"s{i % 12:02}",
                "events": json.dumps([{"start": start, "end": start + 0.5, "label": f"band{band // 2}"}]),
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)


def _inline(function, jobs, workers, backend):
    for job in jobs:
        try:
            yield job, function(job), None
        except (ClipError, UserError) as error:
            yield job, None, str(error)


@pytest.fixture
def inline(monkeypatch):
    for stage in (extract_stage, probe_stage):
        monkeypatch.setattr(stage, "run_jobs", _inline)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("kinds") / "project", tasks=0, embeddings=1)
    make_clips(root / "sounds" / "all")
    write(root / "datasets" / "all.yaml", {"name": "all", "csv": str(root / "sounds" / "all" / "clips.csv")})
    for name, fields in TASKS.items():
        task = {"name": name, "domain": "music", "dataset": "all", "folds": {"kind": "grouped", "k": 3, "valid": 0.25}}
        write(root / "tasks" / f"{name}.yaml", {**task, **fields})
    with pytest.MonkeyPatch.context() as patch:
        for stage in (extract_stage, probe_stage):
            patch.setattr(stage, "run_jobs", _inline)
        assert not extract(Project.read(root)).failures
        outcome = probe(Project.read(root))
        assert (outcome.failures, outcome.computed) == ([], len(TASKS))
    return root


@pytest.fixture
def project(finished, tmp_path, inline):
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    edit(root / "datasets" / "all.yaml", csv=str(root / "sounds" / "all" / "clips.csv"))
    return root


def files(root, task):
    name = f"{task}--mfcc0--frozen--" + {"height": "ridge", "who": "cosine", "nearest": "cosine", "few": "1-shot"}.get(
        task, "logistic"
    )
    return root / "results" / "runs" / "probe" / f"{name}.json", root / "results" / "predictions" / f"{name}.parquet"


@pytest.mark.parametrize("task", TASKS)
def test_what_is_kept_scores_as_the_record_says(finished, task):
    record, answers = read_record(files(finished, task)[0]), files(finished, task)[1]
    found = rescore(answers)
    assert {level: set(scores) for level, scores in found.items()} == {
        level: set(scores) for level, scores in record.scores.items()
    }
    for level, scores in found.items():
        for metric, folds in scores.items():
            kept = record.scores[level][metric].folds
            assert folds == [np.nan if value is None else pytest.approx(value, abs=1e-12) for value in kept], metric
    header = describe(answers)
    assert (header["key"], header["identity"]) == (record.key, list(record.identity))
    assert record.kind == TASKS[task].get("kind", "multiclass")


def test_every_kind_learns_something_and_its_control_nothing(finished):
    better = {"low-or-high": 0.5, "tags": 0.8, "both": 0.3, "when": 0.6, "nearest": 0.5, "notes": 0.5}
    for task, least in better.items():
        record = read_record(files(finished, task)[0])
        score, control = record.scores["file"][record.primary].mean, record.shuffled["file"][record.primary].mean
        assert score > least, task
        assert control < score - 0.1, task
    assert read_record(files(finished, "height")[0]).scores["file"]["r2"].mean > 0.5
    assert read_record(files(finished, "who")[0]).chance == 0.5


def test_records_hold_what_belongs_to_their_kind(finished):
    record = {task: read_record(files(finished, task)[0]) for task in TASKS}
    assert set(record["low-or-high"].null) == {"file", "frame"}
    assert record["low-or-high"].null["file"].expected == pytest.approx(0.25, abs=0.1)
    assert record["tags"].null is record["tags"].confusion or record["tags"].confusion == {}
    assert set(record["low-or-high"].per_class["file"]["band0"]) >= {"recall", "items"}
    assert set(record["tags"].per_class["file"]) == {"high", "loud"}
    assert set(record["both"].per_class["file"]) == {"band", "loud"}
    assert record["when"].per_class["file"]["band0"]["items"] == 18
    assert record["who"].classes is None
    assert {"threshold", "viterbi"} & set(record["when"].folds[0].chosen)
    assert record["when"].scores["file"]["onset_f_200ms"].interval is not None


def test_they_are_all_in_the_leaderboard_and_in_the_check(finished):
    outcome, records = report(Project.read(finished), write=False)
    assert not outcome.failures
    assert {record.task for record in records} == set(TASKS)
    found = check_project(finished)
    assert not found.problems
    of = {task.name: task for task in found.tasks}
    assert set(of) == set(TASKS)
    assert all(task.hours == "0.01" and len(task.folds) == 3 for task in of.values())
    assert of["tags"].classes["(labels that nobody knows)"] == 12
    assert sum(of["height"].classes.values()) == 36


def test_identical_runs_give_identical_answers(project):
    before = {path.name: path.read_bytes() for path in (project / "results" / "predictions").iterdir()}
    shutil.rmtree(project / "results")
    assert probe(Project.read(project)).computed == len(TASKS)
    assert {path.name: path.read_bytes() for path in (project / "results" / "predictions").iterdir()} == before


def test_answers_that_are_gone_damaged_or_of_another_run_are_made_again(project):
    gone, damaged, other = (files(project, task)[1] for task in ("tags", "when", "who"))
    whole = {path: path.read_bytes() for path in (gone, damaged, other)}
    gone.unlink()
    damaged.write_bytes(whole[damaged][:-20])
    other.write_bytes(files(project, "nearest")[1].read_bytes())
    outcome = probe(Project.read(project))
    assert (outcome.computed, outcome.reused) == (3, len(TASKS) - 3)
    assert {path: path.read_bytes() for path in whole} == whole


@pytest.mark.parametrize(
    ("task", "change"),
    [
        ("when", {"smoothing": {"viterbi": []}}),
        ("when", {"metrics": ["frame_f1"]}),
        ("who", {"trials": "trials.txt"}),
        ("both", {"label": ["loud", "band"]}),
        ("height", {"map": {"60.637": "61"}, "label": "height", "version": 2}),
        ("tags", {"classes": ["loud", "high"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_a_kind_asks_costs_its_run_alone(project, task, change):
    (project / "sounds" / "all" / "trials.txt").write_text(
        "".join(f"{int(a % 12 == b % 12)} {a:02}.wav {b:02}.wav\n" for a in range(36) for b in range(a))
    )
    edit(project / "tasks" / f"{task}.yaml", **change)
    outcome = probe(Project.read(project))
    assert (outcome.failures, outcome.computed) == ([], 1)
    assert probe(Project.read(project)).computed == 0


def test_the_list_of_trials_is_part_of_the_key(project):
    trials = project / "sounds" / "all" / "trials.txt"
    trials.write_text("".join(f"{int(a % 12 == b % 12)} {a:02}.wav {b:02}.wav\n" for a in range(36) for b in range(a)))
    edit(project / "tasks" / "who.yaml", trials="trials.txt")
    assert probe(Project.read(project)).computed == 1
    trials.write_text("\n".join(trials.read_text().splitlines()[:-1]))
    assert probe(Project.read(project)).computed == 1


@pytest.mark.parametrize(
    ("column", "tasks"),
    [("events", {"when"}), ("tags", {"tags"}), ("height", {"height"}), ("speaker", {"who", "low-or-high"})],
)
def test_an_annotation_costs_the_runs_that_ask_for_it(project, column, tasks):
    table = project / "sounds" / "all" / "clips.csv"
    rows = pd.read_csv(table, dtype=str)
    rows.loc[5, column], rows.loc[6, column] = rows.loc[6, column], rows.loc[5, column]
    rows.to_csv(table, index=False)
    before = {task: files(project, task)[0].stat().st_mtime_ns for task in TASKS}
    assert not probe(Project.read(project)).failures
    assert {task for task in TASKS if files(project, task)[0].stat().st_mtime_ns != before[task]} == tasks


def test_the_example_of_the_documentation_runs(finished, monkeypatch, capsys):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "records.md").read_text(), re.S)
    assert len(code) == 2
    monkeypatch.chdir(finished)
    exec(code[0], {})
    printed = capsys.readouterr().out
    assert all(f"{task}--mfcc0" in printed for task in TASKS)
    exec(code[1].replace("rendered-words--mfcc-stats", "low-or-high--mfcc0"), {})
    scores = read_record(files(finished, "low-or-high")[0]).scores["file"]["accuracy"].folds
    found = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines() if re.match(r"\d+ ", line)]
    assert found == pytest.approx(scores, abs=1e-5)
