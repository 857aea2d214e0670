"""Every ingredient of a content key is changed in turn: exactly what depends on it is made again, and nothing stale is shown."""

import csv
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from benchmark.audio.cepstra import Standardizer
from benchmark.config import keys
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.registry import FAMILIES
from benchmark.engine import extract as extract_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine import runs
from benchmark.engine.download import download
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from benchmark.errors import ClipError, UserError
from benchmark.models.dnn import Dnn
from benchmark.report.records import read_record, record_path
from tests.engine.project import RATE, ROOT, edit, make_project, make_sounds, write

RUNS = {("tones0", "mfcc0"), ("tones0", "mfcc1"), ("tones1", "mfcc0"), ("tones1", "mfcc1")}
OF_TONES0 = {run for run in RUNS if run[0] == "tones0"}
OF_MFCC0 = {run for run in RUNS if run[1] == "mfcc0"}
# 30 clips, five a shard.
SHARDS = {(embedding, task): 6 for task, embedding in RUNS}


class Bench:
    """A project whose stages run in this process, and what they made last."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.extracted: Counter = Counter()
        self.probed: set = set()
        self.failures: list[str] = []
        monkeypatch.setattr(extract_stage, "run_jobs", self._extract_jobs)
        monkeypatch.setattr(probe_stage, "run_jobs", self._probe_jobs)

    def _extract_jobs(self, function, jobs, workers, backend):
        for job in jobs:
            self.extracted.update((target.config.name, job.dataset) for target in job.targets)
        yield from _inline(function, jobs)

    def _probe_jobs(self, function, jobs, workers, backend):
        self.probed |= {_run(job.record["task"], job.embedding, job.run.probe) for job in jobs}
        yield from _inline(function, jobs)

    def shown(self) -> set:
        """The runs that a report shows now."""
        _, records = report(Project.read(self.root), write=False)
        return {_run(record.task, record.embedding, record.probe) for record in records}

    def run(self) -> tuple[dict, set]:
        """Extract and probe; returns how many shards of which pairs were made, and which runs.

        What is made again is what a report would not have shown before.
        """
        self.extracted.clear()
        self.probed.clear()
        fresh = self.shown()
        first, second = extract(Project.read(self.root)), probe(Project.read(self.root))
        self.failures = [f"{failure.piece}: {failure.reason}" for failure in first.failures + second.failures]
        assert not fresh & self.probed
        if not self.failures:
            assert (first.computed, second.computed) == (sum(self.extracted.values()), len(self.probed))
            assert self.shown() == fresh | self.probed
        return dict(self.extracted), set(self.probed)

    def path(self, task: str, embedding: str) -> Path:
        return record_path(self.root / "results" / "runs" / "probe", task, embedding, "frozen", "logistic")

    def params(self, **changes) -> None:
        edit(self.root / "params.yaml", **changes)

    def task(self, name: str, **changes) -> None:
        edit(self.root / "tasks" / f"{name}.yaml", **changes)

    def embedding(self, name: str, **changes) -> None:
        edit(self.root / "embeddings" / f"{name}.yaml", **changes)


def _run(task: str, embedding: str, probe: str) -> tuple:
    return (task, embedding) if probe == "logistic" else (task, embedding, probe)


def _inline(function, jobs):
    extract_stage._embedding.cache_clear()
    for job in jobs:
        try:
            yield job, function(job), None
        except (ClipError, UserError) as error:
            yield job, None, str(error)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("finished") / "project")
    for i in range(2):
        edit(root / "tasks" / f"tones{i}.yaml", levels=["file"], control=False)
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(root, patch)
        assert bench.run() == (SHARDS, RUNS)
        assert not bench.failures
    return root


@pytest.fixture
def bench(finished, tmp_path, monkeypatch):
    """A copy of a finished project, at another place."""
    root = tmp_path / "copy"
    shutil.copytree(finished, root, symlinks=True)
    for i in range(2):
        edit(root / "tasks" / f"tones{i}.yaml", dataset={"folder": str(root / "sounds" / f"set{i}")})
    return Bench(root, monkeypatch)


def test_a_project_that_moved_to_another_place_recomputes_nothing(bench):
    assert bench.run() == ({}, set())


def test_the_audio_of_one_clip_costs_its_shard_and_the_runs_of_its_task(bench):
    noise = np.random.default_rng(5).standard_normal(RATE // 2).astype(np.float32) * 0.1
    soundfile.write(bench.root / "sounds" / "set0" / "class0" / "03.wav", noise, RATE, subtype="PCM_16")
    assert bench.run() == ({("mfcc0", "tones0"): 1, ("mfcc1", "tones0"): 1}, OF_TONES0)
    assert bench.run() == ({}, set())


def test_other_audio_of_the_same_size_and_date_is_seen(bench):
    path = bench.root / "sounds" / "set0" / "class0" / "03.wav"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-100:] = bytes(100)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bench.run() == ({("mfcc0", "tones0"): 1, ("mfcc1", "tones0"): 1}, OF_TONES0)


def test_a_touched_file_with_the_same_bytes_recomputes_nothing(bench):
    path = bench.root / "sounds" / "set0" / "class0" / "03.wav"
    path.write_bytes(path.read_bytes())
    assert bench.run() == ({}, set())


def test_a_file_moved_to_another_class_costs_the_shards_that_it_left_and_entered(bench):
    folder = bench.root / "sounds" / "set0"
    (folder / "class1" / "09.wav").rename(folder / "class2" / "00a.wav")
    assert bench.run() == ({("mfcc0", "tones0"): 2, ("mfcc1", "tones0"): 2}, OF_TONES0)


def test_a_new_clip_at_the_end_costs_one_shard(bench):
    folder = bench.root / "sounds" / "set0" / "class2"
    shutil.copy(folder / "09.wav", folder / "10.wav")
    assert bench.run() == ({("mfcc0", "tones0"): 1, ("mfcc1", "tones0"): 1}, OF_TONES0)


@pytest.mark.parametrize(
    "change",
    [
        {"folds": {"kind": "stratified", "k": 4}},
        {"folds": {"kind": "stratified", "k": 5, "seed": 1}},
        {"folds": {"kind": "stratified", "k": 5, "valid": 0.2}},
        {"metrics": ["macro_f1"]},
        {"balance": "downsample"},
        {"balance": "downsample_all"},
        {"levels": ["file", "frame"]},
        {"control": True},
        {"max_frames_per_clip": 3},
        {"classes": ["class0", "class1"]},
        {"classes": ["class1", "class0", "class2"]},
        {"map": {"class2": "class1"}},
        {"version": 2},
    ],
    ids=lambda change: "-".join(map(str, next(iter(change.items()))))[:40],
)
def test_what_a_task_asks_costs_its_runs_alone(bench, change):
    bench.task("tones0", **change)
    assert bench.run() == ({}, OF_TONES0)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another title"},
        {"domain": "music"},
        {"reference": {"paper": "Somebody 2020", "metric": "accuracy", "value": 90.0}},
        {"note": "A remark"},
        {"profiles": ["smoke"]},
        {"smoke": {"max_clips": 20}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_only_shown_costs_nothing(bench, change):
    bench.task("tones0", **change)
    assert bench.run() == ({}, set())
    record = read_record(bench.path("tones0", "mfcc0"))
    for name in {"title", "domain"} & set(change):
        assert getattr(record, name) == change[name]
    if "reference" in change:
        assert record.reference.value == 90.0


def test_shrinking_costs_the_runs_of_the_tasks_that_it_shrinks(bench):
    bench.task("tones0", smoke={"max_clips": 24})
    assert bench.run() == ({}, set())
    bench.params(profiles={"smoke": {"shrink": True}})
    assert bench.run() == ({}, OF_TONES0)
    assert read_record(bench.path("tones0", "mfcc0")).clips.used == 24


@pytest.mark.parametrize("change", [{"args": {"window": 0.05}}, {"model": "logmel"}, {"version": 2}], ids=str)
def test_what_an_embedding_computes_costs_its_shards_and_runs(bench, change):
    bench.embedding("mfcc0", **change)
    assert bench.run() == ({("mfcc0", "tones0"): 6, ("mfcc0", "tones1"): 6}, OF_MFCC0)


def test_an_override_of_the_profile_counts_as_the_yaml_itself(bench):
    bench.params(profiles={"smoke": {"overrides": {"mfcc0": {"args": {"window": 0.05}}}}})
    assert bench.run() == ({("mfcc0", "tones0"): 6, ("mfcc0", "tones1"): 6}, OF_MFCC0)


@pytest.mark.parametrize(
    "change", [{"title": "Cepstra"}, {"citation": "Nobody"}, {"licence": "MIT"}, {"note": "n"}], ids=str
)
def test_what_an_embedding_says_of_itself_costs_nothing(bench, change):
    bench.embedding("mfcc0", **change)
    assert bench.run() == ({}, set())
    if "title" in change:
        assert read_record(bench.path("tones1", "mfcc0")).embedding_title == "Cepstra"


def test_the_pooling_costs_runs_and_no_frames(bench):
    bench.embedding("mfcc0", pool="max")
    assert bench.run() == ({}, OF_MFCC0)


@pytest.mark.parametrize("setting", [{"dtype": "float16"}, {"precision": "bfloat16"}, {"compile": True}])
def test_the_numbers_of_networks_and_frames_cost_everything(bench, setting):
    bench.params(extract={"shard_clips": 5, **setting})
    assert bench.run() == (SHARDS, RUNS)


@pytest.mark.parametrize("setting", [{"batch_s": 3.0}, {"devices": ["cpu", "cpu"]}])
def test_batches_and_devices_cost_nothing(bench, setting):
    bench.params(extract={"shard_clips": 5, **setting})
    assert bench.run() == ({}, set())


def test_the_size_of_a_shard_costs_frames_and_no_runs(bench):
    before = bench.path("tones0", "mfcc0").read_bytes()
    bench.params(extract={"shard_clips": 10})
    assert bench.run() == ({pair: 3 for pair in SHARDS}, set())
    assert bench.path("tones0", "mfcc0").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"probe": {"logistic": {"C": [0.1, 10.0]}}},
        {"probe": {"logistic": {"C": [0.1, 1.0], "max_iter": 50}}},
        {"extract": {"shard_clips": 5, "max_lost": 0.5}},
    ],
    ids=str,
)
def test_settings_of_the_probes_cost_runs(bench, change):
    bench.params(**change)
    assert bench.run() == ({}, RUNS)


@pytest.mark.parametrize(
    "change",
    [
        {"engine": {"workers": 1}},
        {"probe": {"logistic": {"C": [0.1, 1.0]}, "mlp": {"lr": 0.1}}},
        {"data": {"root": "data", "keep_archives": True}},
    ],
    ids=str,
)
def test_settings_that_no_run_uses_cost_nothing(bench, change):
    bench.params(**change)
    assert bench.run() == ({}, set())


def test_the_settings_of_another_probe_cost_its_runs_alone(bench):
    with_mlp = {(*run, "mlp") for run in OF_TONES0}
    bench.task("tones0", probes=["logistic", "mlp"])
    bench.params(probe={"logistic": {"C": [0.1, 1.0]}, "mlp": {"max_epochs": 2}})
    assert bench.run() == ({}, with_mlp)
    bench.params(profiles={"smoke": {"mlp": {"max_epochs": 3}}})
    assert bench.run() == ({}, with_mlp)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("benchmark.audio.io", (SHARDS, RUNS)),
        ("benchmark.audio.frontends", (SHARDS, RUNS)),
        ("benchmark.embeddings.base", (SHARDS, RUNS)),
        ("benchmark.embeddings.handcrafted", (SHARDS, RUNS)),
        ("benchmark.engine.embed_clips", (SHARDS, RUNS)),
        ("benchmark.embeddings.running", (SHARDS, RUNS)),
        ("benchmark.engine.precision", (SHARDS, RUNS)),
        ("benchmark.store.shards", (SHARDS, RUNS)),
        ("benchmark.probes.logistic", ({}, RUNS)),
        ("benchmark.probes.run", ({}, RUNS)),
        ("benchmark.metrics.classification", ({}, RUNS)),
        ("benchmark.metrics.folds", ({}, RUNS)),
        ("benchmark.metrics.intervals", ({}, RUNS)),
        ("benchmark.metrics.allocate", ({}, RUNS)),
        ("benchmark.engine.splits", ({}, RUNS)),
        ("benchmark.engine.items", ({}, RUNS)),
        ("benchmark.engine.probe_job", ({}, RUNS)),
        ("benchmark.store.store", ({}, RUNS)),
        ("benchmark.models.ina", ({}, set())),
        ("benchmark.embeddings.ina", ({}, set())),
        ("benchmark.embeddings.registry", ({}, set())),
        ("benchmark.engine.batches", ({}, set())),
        ("benchmark.engine.pool", ({}, set())),
        ("benchmark.engine.plan", ({}, set())),
        ("benchmark.datasets.read", ({}, set())),
        ("benchmark.report.html", ({}, set())),
        ("benchmark.cli", ({}, set())),
    ],
)
def test_code_costs_what_it_makes(bench, change_code, module, expected):
    change_code(module, "\nCHANGED = 1\n")
    assert bench.run() == expected


@pytest.mark.parametrize("module", ["benchmark.audio.io", "benchmark.probes.logistic"])
def test_a_comment_in_the_code_costs_nothing(bench, change_code, module):
    change_code(module, "\n# A remark.\n")
    assert bench.run() == ({}, set())


@pytest.fixture
def change_code(tmp_path, monkeypatch):
    """Make a module look as if lines were added to its file."""
    source = keys._source

    def change(module: str, lines: str) -> None:
        copy = tmp_path / "changed.py"
        copy.write_text(source(module).read_text("utf-8") + lines, "utf-8")
        monkeypatch.setattr(keys, "_source", lambda name: copy if name == module else source(name))
        keys._module.cache_clear()

    yield change
    keys._module.cache_clear()


def test_other_weights_in_the_same_file_cost_the_shards_and_runs_of_their_embedding(bench):
    weights = bench.root / "dnn.safetensors"
    _checkpoint(weights, seed=0)
    described = {"name": "dnn", "family": "pretrained-here", "model": "dnn", "weights": {"file": str(weights)}}
    write(bench.root / "embeddings" / "dnn.yaml", described)
    everything = ({("dnn", "tones0"): 6, ("dnn", "tones1"): 6}, {("tones0", "dnn"), ("tones1", "dnn")})
    assert bench.run() == everything
    _checkpoint(weights, seed=0)
    assert bench.run() == ({}, set())
    _checkpoint(weights, seed=1)
    assert bench.run() == everything
    weights.rename(bench.root / "elsewhere.safetensors")
    bench.embedding("dnn", weights={"file": str(bench.root / "elsewhere.safetensors"), "licence": "MIT"})
    assert bench.run() == ({}, set())


def _checkpoint(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    statistics = Standardizer(torch.zeros(128), torch.ones(128))
    Checkpoint.of(Dnn(2, bands=128), "dnn", "mel128", ("a", "b"), statistics).write(path)


def test_another_third_party_module_costs_the_shards_and_runs_of_its_embedding(bench, monkeypatch):
    module = bench.root / "modules" / "mean_of_windows.py"
    module.parent.mkdir()
    monkeypatch.syspath_prepend(str(module.parent))
    module.write_text(_HEAR.format(size=3))
    write(bench.root / "embeddings" / "third.yaml", {"name": "third", "family": "hear", "module": "mean_of_windows"})
    everything = ({("third", "tones0"): 6, ("third", "tones1"): 6}, {("tones0", "third"), ("tones1", "third")})
    assert bench.run() == everything
    module.write_text(_HEAR.format(size=4))
    keys._module.cache_clear()
    assert bench.run() == everything


_HEAR = """
import torch

class Model(torch.nn.Module):
    sample_rate, timestamp_embedding_size, scene_embedding_size = 16000, {size}, {size}

def load_model(path=""):
    return Model()

def get_timestamp_embeddings(audio, model):
    frames = audio[:, : audio.shape[1] // 800 * 800].reshape(len(audio), -1, 800)
    vectors = frames.abs()[:, :, : {size}]
    return vectors, (torch.arange(frames.shape[1]) * 50.0 + 25.0).repeat(len(audio), 1)

def get_scene_embeddings(audio, model):
    return get_timestamp_embeddings(audio, model)[0].mean(1)
"""


@pytest.fixture
def table(bench):
    """A task over a table: 30 clips, three classes, six speakers, two parts."""
    rows = []
    for c in range(3):
        for i in range(10):
            rows.append(
                {"file": f"set0/class{c}/{i:02}.wav", "digit": str(c), "speaker": f"s{i % 6}",
                 "split": "test" if i % 6 > 3 else "train", "mood": "gay"}
            )  # fmt: skip
    path = bench.root / "sounds" / "digits.csv"
    described = {
        "name": "digits", "domain": "speech", "dataset": {"csv": str(path), "path": "file"}, "label": "digit",
        "group": "speaker", "folds": {"kind": "grouped", "k": 3}, "control": False,
    }  # fmt: skip
    _write_table(path, rows)
    write(bench.root / "tasks" / "digits.yaml", described)
    extracted, probed = bench.run()
    assert not bench.failures
    assert extracted == {("mfcc0", "digits"): 6, ("mfcc1", "digits"): 6}
    assert probed == OF_DIGITS
    return path, rows


OF_DIGITS = {("digits", "mfcc0"), ("digits", "mfcc1")}


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [("digit", "1", OF_DIGITS), ("speaker", "s9", OF_DIGITS), ("split", "test", OF_DIGITS), ("mood", "sad", set())],
)
def test_an_annotation_costs_the_runs_that_use_it_and_no_frames(bench, table, column, value, expected):
    path, rows = table
    rows[0][column] = value
    _write_table(path, rows)
    assert bench.run() == ({}, expected)
    assert not bench.failures


def test_the_order_of_a_table_costs_nothing(bench, table):
    path, rows = table
    _write_table(path, rows[::-1])
    assert bench.run() == ({}, set())


def test_a_filter_costs_the_runs(bench, table):
    bench.task("digits", filter={"speaker": ["s0", "s1", "s2", "s3"]})
    assert bench.run() == ({}, OF_DIGITS)


def _write_table(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_run_that_fails_leaves_no_stale_record(bench):
    (bench.root / "sounds" / "set0" / "class0" / "03.wav").write_bytes(b"no sound at all")
    bench.run()
    assert {line.split(":")[0] for line in bench.failures} == {"tones0 x mfcc0 (logistic)", "tones0 x mfcc1 (logistic)"}
    assert not bench.path("tones0", "mfcc0").exists()
    assert bench.shown() == RUNS - OF_TONES0


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema": 1}'])
def test_a_damaged_record_is_computed_again(bench, damage):
    before = bench.path("tones0", "mfcc0").read_bytes()
    bench.path("tones0", "mfcc0").write_bytes(damage)
    assert bench.run() == ({}, {("tones0", "mfcc0")})
    again = yaml.safe_load(bench.path("tones0", "mfcc0").read_text())
    assert {**again, "provenance": 0} == {**yaml.safe_load(before), "provenance": 0}


def test_a_record_under_the_name_of_another_run_is_not_believed(bench):
    shutil.copy(bench.path("tones0", "mfcc0"), bench.path("tones1", "mfcc1"))
    assert bench.run() == ({}, {("tones1", "mfcc1")})


def test_a_truncated_shard_is_made_again(bench):
    shard = min((bench.root / "data" / "embeddings" / "mfcc0" / "tones0").glob("*.safetensors"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-8])
    assert bench.run() == ({("mfcc0", "tones0"): 1}, set())
    assert shard.read_bytes() == whole


def test_a_report_leaves_stale_results_out_and_says_so(bench):
    bench.params(seed=1)
    outcome, records = report(Project.read(bench.root))
    assert records == []
    with (bench.root / "results" / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {(row["metric"], row["folds"], row["mean"], row["scores"]) for row in rows} == {
        ("accuracy", "0", "", "")
    }
    assert all(row["key_seed"] for row in rows)
    reason = "its result is stale (seed changed) and left out; run `leveret probe`"
    assert {failure.reason for failure in outcome.failures} == {reason}


def test_what_left_the_selection_is_shown_no_more_and_comes_back_for_nothing(bench):
    task = bench.root / "tasks" / "tones0.yaml"
    text = task.read_text()
    task.unlink()
    assert bench.shown() == RUNS - OF_TONES0
    task.write_text(text)
    assert bench.run() == ({}, set())


def _closure(*modules: str) -> set[str]:
    seen, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += keys._module(name)[1]
    return seen


def test_dvc_runs_a_stage_whenever_the_code_in_its_content_keys_changes():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    code = {
        "extract": _closure("benchmark.engine.extract", "benchmark.engine.embed_clips", *FAMILIES.values()),
        "probe": _closure(*runs.CODE),
        "report": _closure("benchmark.report.build"),
    }
    for stage, modules in code.items():
        deps = [Path(dep) for dep in stages[stage]["deps"]]
        for module in modules:
            path = keys._source(module).relative_to(ROOT)
            assert any(path == dep or dep in path.parents for dep in deps), f"{stage}: {path} is not among its deps"


def test_what_dvc_cannot_see_reaches_it_through_the_manifests(bench, monkeypatch):
    """The next stages depend on the manifests: sounds, local weights and others' modules must change them."""
    manifests = bench.root / "data" / "manifests"

    def downloaded() -> dict:
        keys._module.cache_clear()
        assert not download(Project.read(bench.root)).failures
        return {path.name: path.read_bytes() for path in manifests.iterdir()}

    before = downloaded()
    assert set(before) == {"tones0.json", "tones1.json"}
    assert downloaded() == before
    (bench.root / "sounds" / "set1" / "class0" / "00.wav").unlink()
    after = downloaded()
    assert {name for name in after if after[name] != before.get(name)} == {"tones1.json"}
    weights = bench.root / "dnn.safetensors"
    weights.write_bytes(b"one")
    bench.embedding("mfcc0", weights={"file": str(weights)})
    module = bench.root / "modules" / "constant_vectors.py"
    module.parent.mkdir()
    module.write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(module.parent))
    bench.embedding("mfcc1", family="hear", module="constant_vectors")
    seen = [downloaded()["_embeddings.json"]]
    weights.write_bytes(b"two")
    seen.append(downloaded()["_embeddings.json"])
    module.write_text("A = 2\n")
    seen.append(downloaded()["_embeddings.json"])
    weights.unlink()
    seen.append(downloaded()["_embeddings.json"])
    assert len(set(seen)) == 4
    bench.embedding("mfcc0", weights={"file": str(bench.root / "data" / "models" / "dnn.safetensors")})
    assert list(yaml.safe_load(downloaded()["_embeddings.json"])) == ["mfcc1"]


def test_a_module_that_is_not_installed_costs_its_embedding_alone(bench):
    bench.embedding("mfcc1", family="hear", module="no_such_package.no_such_module")
    assert bench.run() == ({}, set())
    assert bench.failures[0].startswith("mfcc1: ")
    assert "mfcc1.yaml: module: no_such_package.no_such_module cannot be found" in bench.failures[0]


def test_a_clip_that_is_gone_costs_its_shard(bench):
    (bench.root / "sounds" / "set1" / "class2" / "09.wav").unlink()
    assert bench.run() == ({("mfcc0", "tones1"): 1, ("mfcc1", "tones1"): 1}, RUNS - OF_TONES0)


def test_a_new_task_is_computed_alone(bench):
    make_sounds(bench.root / "sounds" / "new", seed=7)
    task = yaml.safe_load((bench.root / "tasks" / "tones0.yaml").read_text())
    write(
        bench.root / "tasks" / "new.yaml",
        {**task, "name": "new", "dataset": {"folder": str(bench.root / "sounds/new")}},
    )
    assert bench.run() == ({("mfcc0", "new"): 6, ("mfcc1", "new"): 6}, {("new", "mfcc0"), ("new", "mfcc1")})


def test_a_second_task_over_the_same_dataset_costs_no_frames(bench):
    write(bench.root / "datasets" / "tones.yaml", {"name": "tones", "folder": str(bench.root / "sounds" / "set0")})
    task = yaml.safe_load((bench.root / "tasks" / "tones0.yaml").read_text())
    for name in ("first", "second"):
        write(bench.root / "tasks" / f"{name}.yaml", {**task, "name": name, "dataset": "tones"})
    (bench.root / "tasks" / "second.yaml").rename(bench.root / "second.yaml")
    assert bench.run()[0] == {("mfcc0", "tones"): 6, ("mfcc1", "tones"): 6}
    (bench.root / "second.yaml").rename(bench.root / "tasks" / "second.yaml")
    assert bench.run() == ({}, {("second", "mfcc0"), ("second", "mfcc1")})


def test_a_store_that_was_deleted_is_rebuilt_identically(bench):
    def content() -> dict:
        return {path.name: path.read_bytes() for path in (bench.root / "data" / "embeddings").rglob("*.safetensors")}

    before = content()
    shutil.rmtree(bench.root / "data" / "embeddings")
    assert bench.run() == (SHARDS, set())
    assert content() == before


def test_clips_that_cannot_be_read_are_listed_and_counted(bench):
    bench.params(extract={"shard_clips": 5, "max_lost": 0.05})
    (bench.root / "sounds" / "set0" / "class0" / "00.wav").write_bytes(b"")
    bench.run()
    assert not bench.failures
    clips = read_record(bench.path("tones0", "mfcc0")).clips
    assert clips.used == 29
    assert [(clip.id, "empty" in clip.reason) for clip in clips.lost] == [("class0/00.wav", True)]


def test_files_have_an_interval_around_their_mean(bench):
    rng = np.random.default_rng(0)
    for path in (bench.root / "sounds" / "set0").glob("*/*.wav"):
        soundfile.write(path, 0.1 * rng.standard_normal(9600), 16000, subtype="PCM_16")
    bench.run()
    scores = read_record(bench.path("tones0", "mfcc0")).scores
    assert (
        scores["file"]["accuracy"].interval[0]
        < scores["file"]["accuracy"].mean
        < scores["file"]["accuracy"].interval[1]
    )


def test_what_killed_processes_left_is_removed_and_the_rest_is_not(bench):
    gone = subprocess.Popen(["true"])
    gone.wait()
    records = bench.root / "results" / "runs" / "probe"
    left = records / f".tones0--mfcc0--frozen--logistic.json.{gone.pid}.tmp"
    running = records / f".tones0--mfcc0--frozen--logistic.json.{os.getppid()}.tmp"
    left.write_text("{")
    running.write_text("{")
    assert bench.run() == ({}, set())
    assert not left.exists()
    assert running.exists()
