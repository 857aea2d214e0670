"""The separate stage on a small project: trained, scored, resumed, and never stale."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from benchmark.engine.plan import Project
from benchmark.engine.reporting import report
from benchmark.engine.separate import separate
from benchmark.errors import UserError
from tests.engine.project import write

TASK = {
    "name": "pairs",
    "title": "Pairs",
    "domain": "music",
    "kind": "separation",
    "dataset": {"csv": "clips.csv", "mixture": "sum"},
    "sources": ["low", "high"],
    "folds": {"kind": "grouped", "k": 3},
    "metrics": ["si_sdr_improvement", "bss_v3_sdr", "bss_v4_sdr"],
    "smoke": {"folds": 2},
}
SEPARATOR = {
    "name": "small",
    "family": "mask_inference",
    "args": {"units": 8, "layers": 1},
    "sample_rate": 8000,
    "stft": {"size": 128, "hop": 64},
    "train": {"steps": 12, "batch": 2, "segment_s": 0.5, "lr": 0.02, "validate_every": 6},
}
ORACLE = {
    "name": "ceiling",
    "family": "oracle",
    "args": {"kind": "irm"},
    "sample_rate": 8000,
    "stft": {"size": 128, "hop": 64},
}


@pytest.fixture
def root(tmp_path) -> Path:
    write(tmp_path / "params.yaml", {"profile": "smoke", "profiles": {"smoke": {"shrink": True}}, "device": "cpu"})
    write(tmp_path / "tasks" / "pairs.yaml", TASK)
    write(tmp_path / "separators" / "small.yaml", SEPARATOR)
    write(tmp_path / "separators" / "ceiling.yaml", ORACLE)
    rng, rows = np.random.default_rng(0), ["id,path,group,stem_low,stem_high"]
    t = np.arange(16000) / 8000
    for i in range(9):
        low = np.sin(2 * np.pi * rng.uniform(150, 300) * t) * rng.uniform(0.1, 0.3)
        high = np.sin(2 * np.pi * rng.uniform(1500, 2500) * t) * rng.uniform(0.1, 0.3)
        # One window of two in which nothing is low.
        low[:8000] = 0
        soundfile.write(tmp_path / f"{i}.wav", np.stack([low, high], 1), 8000)
        rows.append(f"c{i},{i}.wav,g{i},{i}.wav#channel=0,{i}.wav#channel=1")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def records(root: Path) -> dict[str, dict]:
    folder = root / "results" / "runs" / "separate"
    return {path.stem.split("--")[1]: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def test_the_stage_from_yaml_to_leaderboard(root):
    outcome = separate(Project.read(root))
    assert (outcome.computed, outcome.failures) == (2, [])
    found = records(root)
    assert set(found) == {"small", "ceiling"}
    small = found["small"]
    assert set(small["scores"]) == {"track", "low", "high"}
    assert len(small["scores"]["track"]["si_sdr_improvement"]["folds"]) == 2
    assert found["ceiling"]["scores"]["track"]["si_sdr_improvement"]["mean"] > 15
    assert found["ceiling"]["strategy"] == "oracle"
    assert {track["fold"] for track in small["tracks"]} == {0, 1}
    assert {(track["windows"], track["silent_windows"]) for track in small["tracks"]} == {(2, 1)}
    assert small["folds"][0]["chosen"]["steps"] == 12
    outcome, shown = report(Project.read(root))
    assert outcome.failures == []
    assert {record.embedding for record in shown} == {"small", "ceiling"}
    board = (root / "results" / "leaderboard.csv").read_text()
    assert board.count("pairs,music,,small,trained,separator") == 3
    table = (root / "results" / "tables" / "separators.md").read_text()
    assert "| ceiling |" in table and "over tracks" in table and "± " in table
    assert "Pairs: 12 of 24 windows (all separators together) have no BSS Eval v4 score" in table

    # Nothing is computed twice, and a fold that is there is not computed again.
    again = separate(Project.read(root))
    assert (again.computed, again.reused) == (0, 2)
    before = (root / "results" / "runs" / "separate" / "pairs--small--trained--separator.json").read_bytes()
    work = next((root / "data" / "separators" / "pairs--small").iterdir())
    (work / "fold1.json").unlink()
    (root / "results" / "runs" / "separate" / "pairs--small--trained--separator.json").unlink()
    stamp = (work / "fold0.json").stat().st_mtime_ns
    assert separate(Project.read(root)).computed == 1
    assert (work / "fold0.json").stat().st_mtime_ns == stamp
    path = root / "results" / "runs" / "separate" / "pairs--small--trained--separator.json"
    assert path.read_bytes() == before

    # From nothing the same bytes come again.
    shutil.rmtree(root / "data" / "separators")
    path.unlink()
    separate(Project.read(root))
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["separator", "task", "audio", "seed"])
def test_what_changes_a_score_makes_its_record_stale(root, what):
    project = Project.read(root, (), (), ["ceiling"])
    separate(project)
    if what == "separator":
        write(root / "separators" / "ceiling.yaml", {**ORACLE, "args": {"kind": "ibm"}})
    elif what == "task":
        write(root / "tasks" / "pairs.yaml", {**TASK, "folds": {"kind": "grouped", "k": 4}})
    elif what == "audio":
        sound, rate = soundfile.read(root / "3.wav")
        soundfile.write(root / "3.wav", 0.5 * sound, rate)
    else:
        content = yaml.safe_load((root / "params.yaml").read_text())
        write(root / "params.yaml", {**content, "seed": 1})
    outcome, shown = report(Project.read(root, (), (), ["ceiling"]))
    assert shown == []
    assert "is stale" in outcome.failures[0].reason
    assert separate(Project.read(root, (), (), ["ceiling"])).computed == 1


def test_published_weights_are_never_scored_on_what_they_were_trained_on(root):
    write(root / "separators" / "ceiling.yaml", {**ORACLE, "seen": ["pairs"]})
    outcome = separate(Project.read(root, (), (), ["ceiling"]))
    assert outcome.computed == 0
    assert "trained on that test part" in outcome.notes[0]


def test_a_separator_that_fails_does_not_stop_the_others(root):
    write(root / "separators" / "small.yaml", {**SEPARATOR, "args": {"wide": 1}})
    outcome = separate(Project.read(root))
    assert outcome.computed == 1
    assert "separators/small.yaml: args" in outcome.failures[0].reason


def test_a_wrong_yaml_is_one_line(root):
    write(root / "separators" / "small.yaml", {**SEPARATOR, "stft": {"size": 64, "hop": 64}})
    with pytest.raises(UserError, match="frames that do not overlap"):
        Project.read(root)


def test_training_on_another_task_hears_nobody_of_the_test_part(root):
    write(root / "tasks" / "others.yaml", {**TASK, "name": "others"})
    lesson = {**SEPARATOR, "name": "taught", "train_on": "others", "tasks": ["pairs"]}
    write(root / "separators" / "taught.yaml", lesson)
    outcome = separate(Project.read(root, (), (), ["taught"]))
    assert (outcome.computed, outcome.failures) == (1, [])
    write(root / "separators" / "taught.yaml", {**lesson, "train_on": "nothing"})
    assert "no selected separation task" in separate(Project.read(root, (), (), ["taught"])).failures[0].reason


def test_ceilings_know_the_rest_of_a_mixture_of_which_one_source_is_wanted(root):
    write(root / "tasks" / "pairs.yaml", {**TASK, "sources": ["low"], "metrics": ["si_sdr_improvement"]})
    (root / "separators" / "small.yaml").unlink()
    for kind in ("irm", "mwf", "mixture"):
        write(root / "separators" / f"{kind}.yaml", {**ORACLE, "name": kind, "args": {"kind": kind}})
    assert separate(Project.read(root, [], [], ["irm", "mwf", "mixture"])).failures == []
    means = {name: record["scores"]["track"]["si_sdr_improvement"]["mean"] for name, record in records(root).items()}
    assert means["irm"] > 15
    assert means["mwf"] > 15
    assert means["mixture"] == pytest.approx(0, abs=1e-6)
