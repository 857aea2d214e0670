"""What a user gets wrong costs one line that names the file, the field and the mend, and status 2."""

import json
import sys

import numpy as np
import pytest
import soundfile

from benchmark import cli
from benchmark.engine.pool import _call
from tests.engine.project import edit, make_project, write


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project", tasks=1, embeddings=1)


def run(monkeypatch, capsys, root, *arguments):
    """Exit status, and what was printed on stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["leveret", "--root", str(root), *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code or 0
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def one_line(monkeypatch, capsys, root, *arguments):
    status, _, err = run(monkeypatch, capsys, root, *arguments)
    assert status == 2
    assert err.count("\n") == 1, err
    assert err.startswith("leveret: ")
    return err


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"fold": {"k": 3}}, ["tones0.yaml: fold: unknown key; did you mean `folds`?"]),
        ({"metrics": "accuracy"}, ["tones0.yaml: metrics:"]),
        ({"folds": {"k": "many"}}, ["tones0.yaml: folds.k: 'many'"]),
        ({"dataset": "no-such-set"}, ["tones0.yaml: dataset: 'no-such-set' is unknown; known datasets"]),
        ({"metrics": ["acuracy"]}, ["tones0.yaml: metrics: 'acuracy' is unknown; known metrics: accuracy"]),
        ({"metrics": ["d_prime"]}, ["tones0.yaml: metrics: 'd_prime' does not fit kind multiclass"]),
        ({"dataset": {"folder": "/no/such/folder"}}, ["/no/such/folder", "no such folder"]),
        ({"folds": {"kind": "stratified", "k": 50}}, ["tones0.yaml: folds: k = 50 needs 50 clips, but there are 30"]),
        ({"label": "brid"}, ["tones0.yaml: the data have no field 'brid'", "label"]),
        ({"folds": {"kind": "official"}}, ["tones0.yaml: folds.kind: official, but the data name no part"]),
        ({"name": "other"}, ["tones0.yaml: name: 'other' differs from the file's name"]),
        ({"dataset": {"folder": ".", "csv": "x.csv"}}, ["tones0.yaml: dataset"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_task(project, monkeypatch, capsys, change, parts):
    edit(project / "tasks" / "tones0.yaml", **change)
    err = one_line(monkeypatch, capsys, project, "check")
    for part in parts:
        assert part in err


def test_a_fold_count_larger_than_the_groups(project, tmp_path, monkeypatch, capsys):
    rows = ["file,label,speaker"]
    for label in ("a", "b"):
        for i in range(8):
            soundfile.write(tmp_path / f"{label}{i}.wav", np.sin(np.arange(4000) * 0.1), 16000)
            rows.append(f"{label}{i}.wav,{label},{label}{i % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    dataset = {"csv": str(tmp_path / "labels.csv"), "path": "file"}
    task = {"name": "digits", "domain": "speech", "dataset": dataset, "label": "label", "group": "speaker"}
    write(project / "tasks" / "digits.yaml", {**task, "folds": {"kind": "grouped", "k": 5}})
    err = one_line(monkeypatch, capsys, project, "check")
    assert "digits.yaml: folds:" in err
    assert "3" in err


def test_no_project_here(tmp_path, monkeypatch, capsys):
    assert "params.yaml: no such file; run leveret in a project folder" in one_line(
        monkeypatch, capsys, tmp_path, "extract"
    )


def test_a_mistyped_name(project, monkeypatch, capsys):
    assert "task: 'tone0' is unknown; `leveret list tasks`" in one_line(
        monkeypatch, capsys, project, "probe", "-t", "tone0"
    )


def test_params_with_an_unknown_profile(project, monkeypatch, capsys):
    edit(project / "params.yaml", profile="huge")
    assert "'huge' is not one of the profiles: smoke" in one_line(monkeypatch, capsys, project, "extract")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"sed": 1}, "params.yaml: sed: unknown key; did you mean `seed`?"),
        ({"seed": "zero"}, "params.yaml: seed: 'zero'"),
        ({"device": "gpu"}, "params.yaml: device: 'gpu'"),
        ({"profiles": {"smoke": {"mlp": {"max_epoch": 3}}}}, "profiles.smoke.mlp.max_epoch: unknown key; did you mean"),
        ({"profiles": {"smoke": {"mlp": {"lr": -1}}}}, "params.yaml: profiles.smoke.mlp.lr: -1"),
        ({"profiles": {"smoke": {"tasks": ["tone"]}}}, "task: 'tone' is unknown"),
        (
            {"profiles": {"smoke": {"overrides": {"mfcc0": {"poool": "max"}}}}},
            "params.yaml: overrides for mfcc0: poool",
        ),
        ({"extract": {"dtype": "float8"}}, "params.yaml: extract.dtype: 'float8'"),
        ({"probe": {"logistic": {"C": []}}}, "params.yaml: probe.logistic.C"),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["check", "probe"])
def test_wrong_params(project, monkeypatch, capsys, command, change, part):
    edit(project / "params.yaml", **change)
    assert part in one_line(monkeypatch, capsys, project, command)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: [", "tones0.yaml: line"),
        ("", "tones0.yaml: expected `key: value` lines"),
        ("- a\n- b\n", "tones0.yaml: expected `key: value` lines"),
        ("name: tones0\nname: tones0\n", "the key 'name' is given twice"),
        ("name: tones0\n", "tones0.yaml: domain: missing; add `domain:`"),
        ("\xff\xfe", "tones0.yaml: cannot be read as UTF-8 text"),
    ],
)
def test_a_file_that_is_no_task(project, monkeypatch, capsys, text, part):
    (project / "tasks" / "tones0.yaml").write_bytes(text.encode("latin-1"))
    assert part in one_line(monkeypatch, capsys, project, "check")
    assert part in one_line(monkeypatch, capsys, project, "list")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"family": "handcraftd"}, "family: handcraftd is unknown; did you mean handcrafted?"),
        ({"pool": "median"}, "mfcc0.yaml: pool: 'median'"),
        ({"weights": {"http": "a", "pypi": "b==1", "file": "c"}}, "mfcc0.yaml: weights: give one source of weights"),
        ({"args": {"windw": 0.1}}, "windw"),
        ({"model": "mfc"}, "mfc"),
        ({"family": "hear", "module": "no_such_module"}, "mfcc0.yaml: module: no_such_module cannot be"),
    ],
    ids=str,
)
def test_a_wrong_embedding(project, tmp_path, monkeypatch, capsys, change, part):
    """The schema's errors end every command; what only its family knows is one line where it is used, or a failure."""
    edit(project / "embeddings" / "mfcc0.yaml", **change)
    sound = next((project / "sounds" / "set0" / "class0").glob("*.wav"))
    assert part in one_line(monkeypatch, capsys, project, "embed", sound, "-e", "mfcc0", "-o", tmp_path / "out.npz")
    assert not list(tmp_path.glob("*.npz*"))


@pytest.mark.parametrize("command", ["download", "extract", "probe"])
def test_a_glob_that_matches_nothing_is_no_error(project, monkeypatch, capsys, command):
    status, _, err = run(monkeypatch, capsys, project, command, "-t", "no*")
    assert status == 0
    assert f"{command}: 0 computed, 0 reused" in err


def test_a_full_disk_in_a_worker_is_a_failure_of_its_piece(project, monkeypatch, capsys):
    from benchmark.engine import extract as stage

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchmark.store.shards.ShardWriter.append", full)
    monkeypatch.setattr(stage, "run_jobs", lambda function, jobs, *_: ((job, function(job), None) for job in jobs))
    status, _, err = run(monkeypatch, capsys, project, "extract")
    assert status == 1
    assert "extract: 0 computed, 0 reused, 6 failed" in err
    assert "No space left on device" in err


@pytest.mark.parametrize("damage", [b"this is no database, however long it is", bytes(5000)])
def test_a_damaged_ledger_of_checksums_costs_time_alone(project, monkeypatch, capsys, damage):
    assert run(monkeypatch, capsys, project, "download")[0] == 0
    for path in (project / "data").glob(".digests.sqlite*"):
        path.unlink()
    (project / "data" / ".digests.sqlite").write_bytes(damage)
    status, _, err = run(monkeypatch, capsys, project, "download")
    assert status == 0
    assert "download: 0 computed, 1 reused" in err


def test_a_folder_that_may_not_be_written(project, monkeypatch, capsys):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", "data/manifests")

    monkeypatch.setattr("benchmark.engine.download._write_manifest", refuse)
    assert "data/manifests: permission denied; mend" in one_line(monkeypatch, capsys, project, "download")


def test_defects_of_ours_keep_their_traceback(project, monkeypatch, capsys):
    def broken(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("benchmark.engine.download._write_manifest", broken)
    with pytest.raises(OSError, match="Input/output"):
        run(monkeypatch, capsys, project, "download")


SOUNDS = {
    "empty": lambda path: path.write_bytes(b""),
    "not audio": lambda path: path.write_bytes(b"RIFF or so, said the file" * 20),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:3000]),
    "not finite": lambda path: soundfile.write(path, np.array([0.1, np.nan] * 500), 16000, subtype="FLOAT"),
    "no samples": lambda path: soundfile.write(path, np.zeros(0), 16000),
}
FINE = {
    "silent": lambda path: soundfile.write(path, np.zeros(8000), 16000),
    "one sample": lambda path: soundfile.write(path, np.array([0.5]), 16000),
    "stereo": lambda path: soundfile.write(path, np.full((8000, 2), 0.1), 16000),
    "24 bit": lambda path: soundfile.write(path, np.full(8000, 0.1), 16000, subtype="PCM_24"),
    "8 kHz": lambda path: soundfile.write(path, np.full(8000, 0.1), 8000),
    "96 kHz": lambda path: soundfile.write(path, np.full(9600, 0.1), 96000),
}


def test_odd_sounds_are_used_and_bad_ones_are_listed_and_counted(project, monkeypatch, capsys):
    from benchmark.engine import extract, probe

    for stage in (extract, probe):
        monkeypatch.setattr(
            stage, "run_jobs", lambda function, jobs, *_: ((job, *_call(function, job)) for job in jobs)
        )
    folder = project / "sounds" / "set0" / "class1"
    for i, make in enumerate(FINE.values()):
        make(folder / f"{i:02}.wav")
    for command in ("download", "extract", "probe"):
        assert run(monkeypatch, capsys, project, command)[0] == 0
    record = project / "results" / "runs" / "probe" / "tones0--mfcc0--frozen--logistic.json"
    assert json.loads(record.read_text())["clips"] == {"lost": [], "used": 30}

    for i, make in enumerate(SOUNDS.values()):
        make(project / "sounds" / "set0" / "class0" / f"{i:02}.wav")
    run(monkeypatch, capsys, project, "extract")
    status, _, err = run(monkeypatch, capsys, project, "probe")
    assert status == 1
    assert not record.exists()
    told = " ".join(err.replace("│", " ").split())
    assert "5 of 30 clips cannot be read, more than max_lost = 0.01 allows" in told

    edit(project / "params.yaml", extract={"shard_clips": 5, "max_lost": 0.2})
    assert run(monkeypatch, capsys, project, "probe")[0] == 0
    clips = json.loads(record.read_text())["clips"]
    assert clips["used"] == 25
    assert [clip["id"] for clip in clips["lost"]] == [f"class0/{i:02}.wav" for i in range(5)]
    assert all(clip["reason"] for clip in clips["lost"])


def test_a_full_disk(project, monkeypatch, capsys):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device", "data/manifests/tones0.json")

    monkeypatch.setattr("benchmark.engine.download._write_manifest", full)
    assert "no space left on the disk" in one_line(monkeypatch, capsys, project, "download")


def test_several_problems_are_all_listed(project, monkeypatch, capsys):
    edit(project / "tasks" / "tones0.yaml", metrics=["acuracy"])
    edit(project / "embeddings" / "mfcc0.yaml", modle="mfcc")
    status, _, err = run(monkeypatch, capsys, project, "check")
    assert status == 2
    assert "acuracy" in err
    assert "modle: unknown key; did you mean `mod" in err


def test_a_right_project_prints_its_folds_and_its_defaults(project, monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, project, "check", "--task", "tones0", "--data")
    assert status == 0
    assert "class0 10, class1 10, class2 10" in out
    assert "max_frames_per_clip" in out or "levels:" in out
    assert "30 clips" in out


def test_check_data_lists_what_cannot_be_read(project, monkeypatch, capsys):
    (project / "sounds" / "set0" / "class0" / "00.wav").write_bytes(b"")
    soundfile.write(project / "sounds" / "set0" / "class1" / "00.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    status, out, err = run(monkeypatch, capsys, project, "check", "--data")
    assert status == 2
    assert "class0/00.wav" in out
    assert "class1/00.wav" in out
    assert "2 of 30 clips cannot be read" in err


def test_embed_good_and_bad_files(project, tmp_path, monkeypatch, capsys):
    good = sorted((project / "sounds" / "set0" / "class0").glob("*.wav"))[:2]
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    out_file = tmp_path / "out.npz"
    status, out, err = run(monkeypatch, capsys, project, "embed", *good, bad, "-e", "mfcc0", "-o", out_file)
    assert status == 1
    assert "2 files embedded" in out
    assert "bad.wav" in err
    arrays = np.load(out_file)
    assert arrays["files"].tolist() == [str(path) for path in good]
    assert arrays["vectors"].shape[0] == 2
    assert arrays["frames_1"].shape[0] == len(arrays["times_1"])


def test_embed_nothing_but_bad_files(project, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.wav").write_text("no sound")
    err = one_line(
        monkeypatch, capsys, project, "embed", tmp_path / "bad.wav", "-e", "mfcc0", "-o", tmp_path / "out.npz"
    )
    assert "none of the 1 files can be read" in err
    assert not (tmp_path / "out.npz").exists()


def test_a_new_task_is_right_as_it_is_written(project, monkeypatch, capsys):
    status, _, _ = run(monkeypatch, capsys, project, "new", "task", "mine", "--folder", project / "sounds" / "set0")
    assert status == 0
    assert len((project / "tasks" / "mine.yaml").read_text().splitlines()) <= 10
    assert run(monkeypatch, capsys, project, "check", "-t", "mine")[0] == 0
    assert "is there already" in one_line(monkeypatch, capsys, project, "new", "task", "mine")
    assert "a name is made of" in one_line(monkeypatch, capsys, project, "new", "task", "../evil")


def test_weights_with_a_wrong_checksum(project, tmp_path, monkeypatch, capsys):
    weights = tmp_path / "net.bin"
    weights.write_bytes(b"weights")
    edit(project / "embeddings" / "mfcc0.yaml", weights={"file": str(weights), "sha256": "0" * 64})
    status, _, err = run(monkeypatch, capsys, project, "extract")
    assert status == 1
    flat = "".join(err.replace("│", "").split())
    assert "net.bin" in flat
    assert "0" * 12 in flat
