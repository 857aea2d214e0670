"""A stale result must never be shown as fresh: each ingredient of the content key is changed in turn."""

import shutil

import pytest
import soundfile
import yaml

from benchmark.config import keys
from benchmark.engine import extract as extract_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine.plan import Project
from benchmark.engine.pool import _call
from benchmark.engine.reporting import report
from benchmark.report.records import read_record, record_path
from tests.engine.project import edit, make_project, make_sounds, write

TASKS, EMBEDDINGS, SHARDS = 2, 2, 6  # 30 clips a task, 5 a shard
RUNS = TASKS * EMBEDDINGS


def _inline(function, jobs, workers=0, backend="local"):
    for job in jobs:
        yield (job, *_call(function, job))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project with everything computed."""
    root = make_project(tmp_path_factory.mktemp("stale") / "project", TASKS, EMBEDDINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract_stage, "run_jobs", _inline)
        patch.setattr(probe_stage, "run_jobs", _inline)
        assert _run(root) == ((RUNS * SHARDS, 0), (RUNS, 0))
    return root


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of it, at the same path for the sounds, so that nothing but the change is new."""
    monkeypatch.setattr(extract_stage, "run_jobs", _inline)
    monkeypatch.setattr(probe_stage, "run_jobs", _inline)
    root = tmp_path / "project"
    shutil.copytree(finished, root, symlinks=True)
    for i in range(TASKS):
        edit(root / "tasks" / f"tones{i}.yaml", dataset={"folder": str(root / "sounds" / f"set{i}")})
    assert _run(root) == ((0, RUNS * SHARDS), (0, RUNS))
    return root


def _run(root):
    """(computed, reused) of extract and of probe."""
    project = Project.read(root)
    extracted = extract_stage.extract(project)
    probed = probe_stage.probe(Project.read(root))
    assert not extracted.failures
    assert not probed.failures
    return (extracted.computed, extracted.reused), (probed.computed, probed.reused)


def _params(root, **changes):
    edit(root / "params.yaml", **changes)


def test_audio_of_one_clip(project):
    sound = project / "sounds" / "set0" / "class1" / "03.wav"
    samples, rate = soundfile.read(sound)
    soundfile.write(sound, samples[::-1], rate, subtype="PCM_16")
    assert _run(project) == ((EMBEDDINGS, RUNS * SHARDS - EMBEDDINGS), (EMBEDDINGS, RUNS - EMBEDDINGS))


def test_audio_changed_without_a_change_of_size_or_time(project):
    import os

    sound = project / "sounds" / "set0" / "class1" / "03.wav"
    status = sound.stat()
    samples, rate = soundfile.read(sound)
    soundfile.write(sound, samples[::-1], rate, subtype="PCM_16")
    os.utime(sound, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _run(project)[0][0] == EMBEDDINGS


def test_a_clip_that_is_gone(project):
    (project / "sounds" / "set1" / "class2" / "09.wav").unlink()
    assert _run(project) == ((EMBEDDINGS, RUNS * SHARDS - EMBEDDINGS), (EMBEDDINGS, RUNS - EMBEDDINGS))


def test_a_clip_in_another_class(project):
    folder = project / "sounds" / "set0"
    (folder / "class0" / "09.wav").rename(folder / "class1" / "10.wav")
    assert _run(project)[1] == (EMBEDDINGS, RUNS - EMBEDDINGS)


@pytest.mark.parametrize(
    "change",
    [
        {"folds": {"kind": "stratified", "k": 4}},
        {"folds": {"kind": "stratified", "k": 5, "seed": 1}},
        {"metrics": ["macro_f1"]},
        {"levels": ["file"]},
        {"classes": ["class0", "class2"]},
        {"balance": "class_weight"},
        {"control": False},
        {"version": 2},
    ],
    ids=str,
)
def test_a_tasks_yaml(project, change):
    edit(project / "tasks" / "tones1.yaml", **change)
    assert _run(project) == ((0, RUNS * SHARDS), (EMBEDDINGS, RUNS - EMBEDDINGS))


def test_what_a_task_only_shows_is_refreshed_and_nothing_computed(project):
    edit(project / "tasks" / "tones1.yaml", title="Tones of the second kind", domain="music")
    assert _run(project) == ((0, RUNS * SHARDS), (0, RUNS))
    path = record_path(project / "results" / "runs" / "probe", "tones1", "mfcc0", "frozen", "logistic")
    assert (read_record(path).title, read_record(path).domain) == ("Tones of the second kind", "music")


@pytest.mark.parametrize("change", [{"args": {"window": 0.15}}, {"model": "logmel"}, {"version": 9}], ids=str)
def test_an_embeddings_yaml(project, change):
    edit(project / "embeddings" / "mfcc0.yaml", **change)
    assert _run(project) == ((TASKS * SHARDS, (RUNS - TASKS) * SHARDS), (TASKS, RUNS - TASKS))


def test_pooling_is_done_by_the_probe(project):
    edit(project / "embeddings" / "mfcc0.yaml", pool="max")
    assert _run(project) == ((0, RUNS * SHARDS), (TASKS, RUNS - TASKS))


def test_what_an_embedding_only_shows(project):
    edit(project / "embeddings" / "mfcc0.yaml", title="Cepstra", citation="Somebody", note="...", licence="MIT")
    assert _run(project) == ((0, RUNS * SHARDS), (0, RUNS))


def test_weights(project, tmp_path, monkeypatch):
    """The checksum of the file counts, where the YAML gives none."""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    edit(project / "embeddings" / "mfcc0.yaml", weights={"file": str(weights)})
    first = Project.read(project)
    before = first.plan_embedding(first.embeddings[0])
    weights.write_bytes(b"two")
    second = Project.read(project)
    after = second.plan_embedding(second.embeddings[0])
    changed = {name for name in before.ingredients if before.ingredients[name] != after.ingredients[name]}
    assert changed == {"weights"}
    assert before.key != after.key


def test_precision_of_the_store(project):
    _params(project, extract={"shard_clips": 5, "dtype": "float16"})
    assert _run(project) == ((RUNS * SHARDS, 0), (RUNS, 0))


@pytest.mark.parametrize(
    "change",
    [
        {"probe": {"logistic": {"C": [0.1]}}},
        {"seed": 1},
        {"extract": {"shard_clips": 5, "max_lost": 0.5}},
    ],
    ids=str,
)
def test_what_only_the_probe_reads(project, change):
    _params(project, **change)
    assert _run(project) == ((0, RUNS * SHARDS), (RUNS, 0))


@pytest.mark.parametrize(
    ("module", "extracted", "probed"),
    [("benchmark.embeddings.handcrafted", RUNS * SHARDS, RUNS), ("benchmark.probes.logistic", 0, RUNS)],
)
def test_code(project, monkeypatch, module, extracted, probed):
    real = keys._module

    def edited(name):
        code, imports = real(name)
        return (code + "edited" if name == module else code), imports

    monkeypatch.setattr(keys, "_module", edited)
    assert _run(project) == ((extracted, RUNS * SHARDS - extracted), (probed, RUNS - probed))


def test_a_damaged_shard_is_made_again_with_the_same_bytes(project):
    shard = sorted((project / "data" / "embeddings" / "mfcc0").rglob("*.safetensors"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-10])
    assert _run(project) == ((1, RUNS * SHARDS - 1), (0, RUNS))
    assert shard.read_bytes() == whole


def test_a_store_that_was_deleted_is_rebuilt_identically(project):
    def content():
        return {path.name: path.read_bytes() for path in (project / "data" / "embeddings").rglob("*.safetensors")}

    before = content()
    shutil.rmtree(project / "data" / "embeddings")
    assert _run(project) == ((RUNS * SHARDS, 0), (0, RUNS))
    assert content() == before


def test_a_damaged_record_is_made_again(project):
    path = record_path(project / "results" / "runs" / "probe", "tones0", "mfcc0", "frozen", "logistic")
    path.write_text(path.read_text()[:100])
    assert _run(project)[1] == (1, RUNS - 1)


def test_the_report_leaves_out_what_is_stale_and_says_so(project):
    edit(project / "tasks" / "tones1.yaml", metrics=["macro_f1"])
    outcome, records = report(Project.read(project))
    assert {record.task for record in records} == {"tones0"}
    assert [failure.reason for failure in outcome.failures] == ["its result is stale and left out; run `leveret probe`"] * 2
    assert "tones1" not in (project / "results" / "leaderboard.csv").read_text()


def test_the_record_of_a_run_that_fails_is_removed(project):
    for path in (project / "sounds" / "set0" / "class0").glob("0[0-4].wav"):
        path.write_bytes(b"no sound")
    project_now = Project.read(project)
    extract_stage.extract(project_now)
    outcome = probe_stage.probe(Project.read(project))
    assert len(outcome.failures) == EMBEDDINGS
    assert "5 of 30 clips cannot be read, more than max_lost" in outcome.failures[0].reason
    left = sorted(path.name for path in (project / "results" / "runs" / "probe").iterdir())
    assert left == [f"tones1--mfcc{i}--frozen--logistic.json" for i in range(EMBEDDINGS)]


def test_clips_that_cannot_be_read_are_listed_and_counted(project):
    _params(project, extract={"shard_clips": 5, "max_lost": 0.05})
    (project / "sounds" / "set0" / "class0" / "00.wav").write_bytes(b"")
    _run(project)
    path = record_path(project / "results" / "runs" / "probe", "tones0", "mfcc0", "frozen", "logistic")
    clips = read_record(path).clips
    assert clips.used == 29
    assert [(clip.id, "empty" in clip.reason) for clip in clips.lost] == [("class0/00.wav", True)]


def test_a_new_task_is_computed_alone(project):
    make_sounds(project / "sounds" / "new", seed=7)
    task = yaml.safe_load((project / "tasks" / "tones0.yaml").read_text())
    task |= {"name": "new", "dataset": {"folder": str(project / "sounds" / "new")}}
    write(project / "tasks" / "new.yaml", task)
    assert _run(project) == ((EMBEDDINGS * SHARDS, RUNS * SHARDS), (EMBEDDINGS, RUNS))
