"""Tasks with a front end: what they hear, where it comes from, and that it is never stale or has learned from the clip."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmark.config.schema_task import TaskConfig
from benchmark.engine import extract as extract_stage
from benchmark.engine import front_ends as front_end_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine import separate as separate_stage
from benchmark.engine.checking import check_project
from benchmark.engine.extract import extract
from benchmark.engine.front_ends import make_front_ends, plan_front_end
from benchmark.engine.plan import Project
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from benchmark.errors import UserError
from tests.engine.project import edit, write
from tests.engine.test_separate import ORACLE, SEPARATOR, TASK

RECOGNITION = {
    "name": "kinds-mixture",
    "title": "Kind of the low voice",
    "domain": "music",
    "dataset": {"csv": "clips.csv", "mixture": "sum", "name": "sounds"},
    "label": "kind",
    "folds": {"kind": "grouped", "k": 3, "valid": 0.25},
    "control": False,
}
FRONT_ENDS = {
    "separated": {"separator": "small", "trained_on": "pairs"},
    "clean": "oracle:low",
    "masked": {"separator": "ceiling", "source": "low"},
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    def run(function, jobs, workers, backend):
        extract_stage._embedding.cache_clear()
        for job in jobs:
            try:
                yield job, function(job), None
            except UserError as error:
                yield job, None, str(error)

    for stage in (front_end_stage, separate_stage, extract_stage, probe_stage):
        monkeypatch.setattr(stage, "run_jobs", run)
    params = {"profile": "all", "profiles": {"all": {}}, "device": "cpu", "probe": {"logistic": {"C": [1.0]}}}
    write(tmp_path / "params.yaml", params)
    dataset = RECOGNITION["dataset"]
    write(tmp_path / "tasks" / "pairs.yaml", {**TASK, "dataset": dataset, "metrics": ["si_sdr"]})
    write(tmp_path / "tasks" / "kinds-mixture.yaml", RECOGNITION)
    for name, front_end in FRONT_ENDS.items():
        task = {**RECOGNITION, "name": f"kinds-{name}", "front_end": front_end}
        write(tmp_path / "tasks" / f"kinds-{name}.yaml", task)
    write(tmp_path / "separators" / "small.yaml", SEPARATOR)
    write(tmp_path / "separators" / "ceiling.yaml", ORACLE)
    for i in range(2):
        embedding = {"name": f"mfcc{i}", "family": "handcrafted", "model": "mfcc", "args": {"window": 0.1 * (i + 1)}}
        write(tmp_path / "embeddings" / f"mfcc{i}.yaml", embedding)
    rng, rows = np.random.default_rng(0), ["id,path,group,kind,stem_low,stem_high"]
    t = np.arange(8000) / 8000
    for i in range(18):
        low = np.sin(2 * np.pi * (rng.uniform(150, 200) if i % 2 else rng.uniform(300, 350)) * t)
        high = np.sin(2 * np.pi * rng.uniform(1500, 2500) * t)
        soundfile.write(tmp_path / f"{i}.wav", 0.2 * np.stack([low, high], 1), 8000)
        rows.append(f"c{i:02},{i}.wav,g{i // 2},{'ab'[i % 2]},{i}.wav#channel=0,{i}.wav#channel=1")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def stages(root: Path) -> list:
    return [stage(Project.read(root)) for stage in (make_front_ends, extract, probe)]


def test_a_task_is_scored_on_mixture_separated_voice_and_stem_side_by_side(root):
    assert not [failure for outcome in stages(root) for failure in outcome.failures]
    _, records = report(Project.read(root))
    assert {record.task for record in records if record.kind == "multiclass"} == {
        "kinds-mixture", "kinds-separated", "kinds-clean", "kinds-masked"
    }  # fmt: skip
    audio = {record.task: record.ingredients["audio"] for record in records if record.embedding == "mfcc0"}
    assert len(set(audio.values())) == len(audio), "each front end is heard by itself"
    same = {record.ingredients["annotation"] for record in records if record.kind == "multiclass"}
    assert len(same) == 1
    table = (root / "results" / "tables" / "front-ends.md").read_text()
    for text in ("mixture", "low, clean", "first source by small", "low by ceiling", "mfcc0"):
        assert text in table
    assert [outcome.computed for outcome in stages(root)] == [0, 0, 0]
    # What was dropped is not shown any more.
    for path in (root / "tasks").glob("kinds-[scm]*.yaml"):
        if path.stem != "kinds-mixture":
            path.unlink()
    report(Project.read(root))
    assert not (root / "results" / "tables" / "front-ends.md").exists()


def test_the_stem_is_the_stem_and_the_oracle_comes_near_it(root):
    make_front_ends(Project.read(root, ["kinds-clean", "kinds-masked"]))
    project = Project.read(root)
    clean, masked = (
        project.clips(project.sounds_of(project.catalogue.tasks[f"kinds-{n}"])) for n in ("clean", "masked")
    )
    for number, (clip, other) in enumerate(zip(clean, masked, strict=True)):
        stems, rate = soundfile.read(root / f"{int(clip.id[1:])}.wav")
        sound, heard_rate = soundfile.read(clip.path)
        assert heard_rate == rate and clip.id == f"c{number:02}"
        np.testing.assert_allclose(sound, stems[:, 0], atol=1e-7)
        estimate, _ = soundfile.read(other.path)
        assert np.sum((estimate - sound) ** 2) < 0.01 * np.sum(sound**2)
        assert (clip.group, clip.labels["kind"]) == (f"g{number // 2}", "ab"[number % 2])


def test_a_clip_is_separated_by_a_fold_that_learned_from_nothing_of_its_group(root):
    project = Project.read(root)
    plan = plan_front_end(project, project.catalogue.tasks["kinds-separated"])
    assert sorted(set(plan.folds)) == [0, 1, 2]
    for clip, fold in zip(plan.clips, plan.folds, strict=True):
        split = plan.separation.splits[fold]
        learned = {plan.separation.items.clips[i].group for part in (split.train, split.valid) for i in part}
        assert clip.group not in learned
    # With the first fold alone most clips were learned from.
    edit(root / "params.yaml", profiles={"all": {"shrink": True}})
    edit(root / "tasks" / "pairs.yaml", smoke={"folds": 1})
    project = Project.read(root)
    with pytest.raises(UserError, match="12 of 18 clips of sounds are of groups that pairs x small learned from"):
        plan_front_end(project, project.catalogue.tasks["kinds-separated"])
    # What the task leaves out anyway is no obstacle.
    tested = [plan.separation.items.clips[i].id for i in plan.separation.splits[0].test]
    lines = (root / "clips.csv").read_text().splitlines()
    parts = ["part", *("test" if line.split(",")[0] in tested else "train" for line in lines[1:])]
    (root / "clips.csv").write_text("".join(f"{line},{part}\n" for line, part in zip(lines, parts, strict=True)))
    edit(root / "tasks" / "kinds-separated.yaml", filter={"part": "test"})
    project = Project.read(root)
    asked = plan_front_end(project, project.catalogue.tasks["kinds-separated"])
    assert sorted(clip.id for clip in asked.clips) == sorted(tested) and set(asked.folds) == {0}


@pytest.mark.parametrize("what", ["separator", "sounds", "seed", "stem"])
def test_what_is_heard_is_never_stale(root, what):
    task = "kinds-clean" if what == "stem" else "kinds-separated"
    make_front_ends(Project.read(root, [task]))
    before = Project.read(root)
    old = before.digests(before.sounds_of(before.catalogue.tasks[task]))
    if what == "separator":
        edit(root / "separators" / "small.yaml", args={"units": 4, "layers": 1})
    elif what == "seed":
        edit(root / "params.yaml", seed=3)
    else:
        sound, rate = soundfile.read(root / "3.wav")
        soundfile.write(root / "3.wav", 0.5 * sound, rate)
    outcome = extract(Project.read(root, [task]))
    assert any("run `leveret separate" in failure.reason for failure in outcome.failures)
    assert any("run `leveret separate" in failure.reason for failure in probe(Project.read(root, [task])).failures)
    assert make_front_ends(Project.read(root, [task])).computed == 1
    after = Project.read(root)
    assert after.digests(after.sounds_of(after.catalogue.tasks[task])) != old
    assert len(list((root / "data" / "front_ends" / after.sounds_of(after.catalogue.tasks[task])).iterdir())) == 1
    assert not extract(Project.read(root, [task])).failures


def test_what_was_interrupted_goes_on(root):
    project = Project.read(root, ["kinds-clean"])
    make_front_ends(project)
    folder = plan_front_end(project, project.catalogue.tasks["kinds-clean"]).folder
    (folder / "made.json").unlink()
    (folder / "000004.wav").unlink()
    kept = (folder / "000003.wav").stat().st_mtime_ns
    assert make_front_ends(Project.read(root, ["kinds-clean"])).computed == 1
    assert (folder / "000004.wav").is_file() and (folder / "000003.wav").stat().st_mtime_ns == kept
    assert len(json.loads((folder / "made.json").read_text())["clips"]) == 18


def test_a_task_may_ask_some_embeddings_alone(root):
    edit(root / "tasks" / "kinds-mixture.yaml", embeddings=["mfcc1"])
    for stage in (extract, probe):
        assert stage(Project.read(root, ["kinds-mixture"])).computed > 0
    _, records = report(Project.read(root, ["kinds-mixture"]), write=False)
    assert [record.embedding for record in records] == ["mfcc1"]
    assert not list((root / "data" / "embeddings").glob("*mfcc0*"))
    edit(root / "tasks" / "kinds-mixture.yaml", embeddings=["mfcc7"])
    assert "mfcc7" in probe(Project.read(root, ["kinds-mixture"])).failures[0].reason


@pytest.mark.parametrize(
    ("front_end", "message"),
    [
        ("wave", "separator 'wave' is unknown"),
        ("oracle:middle", "no stem 'middle'"),
        ({"separator": "small", "source": "middle"}, "source: 'middle' is none of low, high"),
        ({"separator": "small", "trained_on": "kinds-mixture"}, "trained_on: 'kinds-mixture' is no separation task"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(root, front_end, message):
    edit(root / "tasks" / "kinds-clean.yaml", front_end=front_end)
    outcome = make_front_ends(Project.read(root, ["kinds-clean"]))
    assert message in outcome.failures[0].reason and "\n" not in outcome.failures[0].reason
    # Labels and folds can be looked at before anything is separated.
    assert not check_project(root, ["kinds-clean"]).problems


def test_weights_that_learned_from_the_set_are_refused(root):
    edit(root / "separators" / "ceiling.yaml", seen=["sounds"])
    assert "were trained on sounds" in make_front_ends(Project.read(root, ["kinds-masked"])).failures[0].reason


@pytest.mark.parametrize("change", [{"front_end": {"separator": "a", "stem": "b"}}, {"front_end": {"source": "low"}}, {
    "front_end": {"stem": "low", "source": "low"}}, {"kind": "separation", "sources": ["low"], "front_end": "small"}])  # fmt: skip
def test_a_front_end_is_one_thing(change):
    with pytest.raises(ValueError, match=r"front_end|separator|source"):
        TaskConfig.model_validate({**RECOGNITION, "metrics": ["si_sdr" if "kind" in change else "accuracy"], **change})
