import hashlib
import io
import json
import multiprocessing
import shutil
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets import fetch, indexes, sources
from benchmark.datasets.ledger import read_ledger
from benchmark.datasets.read import is_ready, read_dataset
from benchmark.datasets.sources import Prepared, prepare
from benchmark.errors import UserError
from tests.datasets.segments import split
from tests.datasets.sounds import tone, write

ITEMS = [{"glob": "set/**/*.wav", "fields": {"label": "{folder}"}}]


def sound(tmp_path: Path, hz: float) -> bytes:
    return write(tmp_path / f"{hz}.wav", tone(hz=hz)).read_bytes()


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path) -> bytes:
    return make_zip({f"set/{c}/{i}.wav": sound(tmp_path, 100 * i + ord(c)) for c in "ab" for i in range(3)})


def config(*parts: dict[str, Any], **keys: Any) -> DatasetConfig:
    return parse({"name": "mine", "sources": list(parts), "items": ITEMS, **keys}, DatasetConfig, "mine.yaml")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def not_there(root: Path, dataset: DatasetConfig) -> bool:
    """Nothing half-made is taken for whole."""
    return not is_ready(dataset, root) and not (root / "audio/mine").exists()


def one_line(caught: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fetched_unpacked_and_read(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive), "sha256": sha256(archive)})
    assert not is_ready(dataset, tmp_path)
    assert prepare(dataset, tmp_path) == Prepared(tmp_path / "audio/mine", True, [])
    assert is_ready(dataset, tmp_path)
    clips = read_dataset(dataset, tmp_path)
    assert [clip.labels["label"] for clip in clips] == ["a"] * 3 + ["b"] * 3
    assert clips[0].path == tmp_path / "audio/mine/set/a/0.wav"
    assert prepare(dataset, tmp_path) == Prepared(tmp_path / "audio/mine", False, [])
    assert len(server.requests["a.zip"]) == 1
    assert not (tmp_path / "archives/mine").exists()
    assert read_ledger(tmp_path)["mine/a.zip"]["pinned"] is True


def test_archives_are_kept_if_wanted(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive)})
    prepare(dataset, tmp_path, keep_archives=True)
    assert (tmp_path / "archives/mine/a.zip").read_bytes() == archive
    shutil.rmtree(tmp_path / "audio")
    assert prepare(dataset, tmp_path).fresh
    assert len(server.requests["a.zip"]) == 1


def test_a_file_without_a_checksum_is_noted_and_said(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive)})
    (note,) = prepare(dataset, tmp_path).notes
    assert sha256(archive) in note
    entry = json.loads((tmp_path / "ledger.json").read_text())["mine/a.zip"]
    assert (entry["sha256"], entry["bytes"], entry["pinned"]) == (sha256(archive), len(archive), False)
    other = make_zip({"set/a/x.wav": sound(tmp_path, 50.0)})
    server.add("a.zip", other)
    shutil.rmtree(tmp_path / "audio")
    (note,) = prepare(dataset, tmp_path).notes
    assert "differs from the file of" in note


def test_another_source_is_fetched_anew_but_a_mirror_of_the_same_file_is_not(server, tmp_path, archive):
    pinned = {"sha256": sha256(archive), "file": "a.zip"}
    url = server.add("a.zip", archive)
    prepare(config({"http": url, **pinned}), tmp_path)
    assert not prepare(config({"http": [server.url("mirror.zip"), url], **pinned}), tmp_path).fresh
    other = make_zip({"set/a/x.wav": sound(tmp_path, 50.0)})
    changed = config({"http": server.add("b.zip", other), "sha256": sha256(other), "file": "a.zip"})
    assert prepare(changed, tmp_path).fresh
    assert [path.name for path in (tmp_path / "audio/mine/set/a").iterdir()] == ["x.wav"]


def test_a_changed_address_without_a_checksum_is_another_source(server, tmp_path, archive):
    prepare(config({"http": server.add("v1/a.zip", archive)}), tmp_path)
    other = make_zip({"set/a/x.wav": sound(tmp_path, 50.0)})
    assert prepare(config({"http": server.add("v2/a.zip", other)}), tmp_path).fresh


def test_several_sources_and_files_that_are_no_archives(server, tmp_path, archive):
    dataset = config(
        {"http": server.add("a.zip", archive), "to": "inner"},
        {"http": server.add("labels.csv", b"stem,pitch\n0,60\n1,61\n2,62\n"), "to": "meta"},
        {"http": server.add("code.zip", b"left as it is"), "unpack": False},
        items=[{"glob": "inner/**/*.wav"}],
        tables=[{"file": "meta/labels.csv", "match": "{stem}", "with": "{stem}"}],
    )
    prepare(dataset, tmp_path)
    assert {clip.labels["pitch"] for clip in read_dataset(dataset, tmp_path)} == {"60", "61", "62"}
    assert (tmp_path / "audio/mine/code.zip").read_bytes() == b"left as it is"


def test_parts_are_joined(server, tmp_path, archive):
    cut = len(archive) // 2
    halves = [archive[:cut], archive[cut:]]
    parts = [
        {"http": server.add(f"a.zip.00{i}", half), "md5": hashlib.md5(half).hexdigest()}
        for i, half in enumerate(halves)
    ]
    dataset = config({"parts": parts, "file": "a.zip", "sha256": sha256(archive)})
    prepare(dataset, tmp_path, keep_archives=True)
    assert len(read_dataset(dataset, tmp_path)) == 6
    assert [p.name for p in (tmp_path / "archives/mine").iterdir() if p.suffix != ".lock"] == ["a.zip"]
    wrong = config({"parts": parts[::-1], "file": "b.zip", "sha256": sha256(archive)})
    with pytest.raises(UserError, match="set aside"):
        prepare(wrong, tmp_path / "other")
    assert not_there(tmp_path / "other", wrong)


def test_segments_of_a_zip_become_one(server, tmp_path, archive):
    names = ("a.z01", "a.z02", "a.zip")
    parts = [{"http": server.add(n, part)} for n, part in zip(names, split(archive, 3), strict=True)]
    dataset = config({"parts": parts, "file": "a.zip"})
    prepare(dataset, tmp_path)
    assert len(read_dataset(dataset, tmp_path)) == 6


def test_a_dropped_connection_goes_on_where_it_was(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive, drops=[len(archive) // 2])})
    prepare(dataset, tmp_path)
    assert server.requests["a.zip"] == [None, f"bytes={len(archive) // 2}-"]


def test_a_wrong_checksum_is_refused_set_aside_and_the_mirror_taken(server, tmp_path, archive):
    wrong = make_zip({"set/a/evil.wav": b"x"})
    urls = [server.add("wrong.zip", wrong), server.add("right.zip", archive)]
    dataset = config({"http": urls, "file": "a.zip", "sha256": sha256(archive)})
    prepare(dataset, tmp_path, keep_archives=True)
    assert (tmp_path / "archives/mine/a.zip.bad").read_bytes() == wrong
    assert len(read_dataset(dataset, tmp_path)) == 6


def test_an_archive_packed_on_request_is_taken_with_a_word(server, tmp_path, archive):
    dataset = config({"http": server.add("master.zip", archive), "md5": "0" * 32, "strict": False})
    (note,) = prepare(dataset, tmp_path).notes
    assert "packs it anew" in note
    assert read_ledger(tmp_path)["mine/master.zip"]["pinned"] is False
    assert not prepare(dataset, tmp_path).fresh


@pytest.mark.parametrize("behaviour", [{"status": 404}, {"status": 403}, {"status": 500}, {"kind": "text/html"}])
def test_what_cannot_be_had_leaves_nothing(server, tmp_path, archive, behaviour):
    dataset = config({"http": server.add("a.zip", archive, **behaviour)})
    with pytest.raises(UserError, match=r"a\.zip"):
        prepare(dataset, tmp_path)
    assert not_there(tmp_path, dataset)


def test_a_truncated_archive_is_set_aside_and_fetched_again(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive[:-200])})
    with pytest.raises(UserError, match=r"set aside as a\.zip\.bad: run the same again") as caught:
        prepare(dataset, tmp_path)
    one_line(caught)
    assert not_there(tmp_path, dataset)
    server.add("a.zip", archive)
    prepare(dataset, tmp_path)
    assert len(read_dataset(dataset, tmp_path)) == 6


def make_tar(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        file.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", make_zip({"set/a/1.wav": b"", "../../evil.wav": b"x"})),
        ("a.tar.gz", make_tar("../../evil.wav")),
        ("a.tar.gz", make_tar("set/a/evil.wav", tarfile.SYMTYPE, "/etc/passwd")),
    ],
    # An archive's bytes hold the time, so they are no name that two processes agree on.
    ids=["zip", "tar", "link"],
)
def test_archives_that_reach_out_are_refused(server, tmp_path, name, content):
    dataset = config({"http": server.add(name, content)})
    with pytest.raises(UserError, match="refused"):
        prepare(dataset, tmp_path / "data")
    assert not_there(tmp_path / "data", dataset)
    assert not list(tmp_path.rglob("evil.wav"))


def test_a_full_disk_is_seen_before_anything_is_fetched(server, tmp_path, archive, monkeypatch):
    dataset = config({"http": server.add("a.zip", archive), "bytes": len(archive)})
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(UserError, match="mine: needs"):
        prepare(dataset, tmp_path)
    assert not server.requests
    assert not_there(tmp_path, dataset)


def _prepare(dataset: DatasetConfig, root: Path) -> None:
    prepare(dataset, root)


def test_two_processes_prepare_once(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive, delay_s=0.3)})
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_prepare, args=(dataset, tmp_path)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(server.requests["a.zip"]) == 1
    assert len(read_dataset(dataset, tmp_path)) == 6


def test_a_kill_while_unpacking_leaves_nothing_and_costs_no_second_transfer(server, tmp_path, archive, monkeypatch):
    dataset = config({"http": server.add("a.zip", archive)})
    original = sources.unpack

    def killed(path: Path, folder: Path) -> None:
        original(path, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "unpack", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path)
    assert not_there(tmp_path, dataset)
    monkeypatch.undo()
    prepare(dataset, tmp_path)
    assert len(server.requests["a.zip"]) == 1
    assert len(read_dataset(dataset, tmp_path)) == 6
    assert not list((tmp_path / "audio/.making").iterdir())


def test_one_source_that_fails_does_not_lose_the_others(server, tmp_path, archive):
    dataset = config({"http": server.add("a.zip", archive)}, {"http": server.url("gone.zip")})
    with pytest.raises(UserError, match=r"gone\.zip"):
        prepare(dataset, tmp_path)
    assert (tmp_path / "archives/mine/a.zip").read_bytes() == archive


def test_zenodo_gives_address_and_checksum(server, tmp_path, archive):
    mirrors = {"zenodo.org": server.url("").rstrip("/")}
    server.add("records/77/files/a.zip", archive)
    md5 = hashlib.md5(archive).hexdigest()
    record = {"files": [{"key": "a.zip", "size": len(archive), "checksum": f"md5:{md5}"}]}
    server.add("api/records/77", json.dumps(record).encode(), kind="application/json")
    dataset = config({"zenodo": 77, "file": "a.zip"})
    assert len(prepare(dataset, tmp_path / "one", mirrors=mirrors).notes) == 1
    record["files"][0]["checksum"] = "md5:" + "0" * 32
    server.add("api/records/77", json.dumps(record).encode(), kind="application/json")
    with pytest.raises(UserError, match="instead of 0000"):
        prepare(dataset, tmp_path / "two", mirrors=mirrors)
    prepare(config({"zenodo": 77, "file": "a.zip", "md5": md5}), tmp_path / "three", mirrors=mirrors)


def test_by_hand_says_where_to_ask_and_what_to_put_where(tmp_path, archive):
    text = "WSJ0 is sold by the LDC.\n  Ask for LDC93S6A"
    dataset = config({"manual": text, "file": "a.zip", "sha256": sha256(archive)}, access="paid")
    with pytest.raises(UserError) as caught:
        prepare(dataset, tmp_path)
    place = tmp_path / "manual/mine/a.zip"
    assert one_line(caught) == (
        f"mine: WSJ0 is sold by the LDC. Ask for LDC93S6A. Put it at {place}, then run `leveret download` again"
    )
    place.parent.mkdir(parents=True)
    place.write_bytes(b"wrong")
    with pytest.raises(UserError, match="sha256"):
        prepare(dataset, tmp_path)
    place.write_bytes(archive)
    assert prepare(dataset, tmp_path).fresh
    assert len(read_dataset(dataset, tmp_path)) == 6
    assert place.exists()
    place.unlink()
    assert not prepare(dataset, tmp_path).fresh


def test_an_exchanged_archive_is_unpacked_anew(tmp_path, archive):
    dataset = config({"manual": "Ask.", "file": "a.zip"})
    place = tmp_path / "manual/mine/a.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(archive)
    prepare(dataset, tmp_path)
    place.write_bytes(make_zip({"set/a/x.wav": sound(tmp_path, 50.0)}))
    assert prepare(dataset, tmp_path).fresh
    assert len(read_dataset(dataset, tmp_path)) == 1


def test_a_folder_by_hand_stays_where_it_is(tmp_path):
    write(tmp_path / "manual/mine/set/a/1.wav")
    write(tmp_path / "manual/mine/set/b/2.wav")
    dataset = config({"manual": "Ask.", "file": "set"})
    prepare(dataset, tmp_path)
    assert [clip.id for clip in read_dataset(dataset, tmp_path)] == ["set/a/1.wav", "set/b/2.wav"]
    assert (tmp_path / "audio/mine/set").is_symlink()
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    assert len(read_dataset(dataset, moved)) == 2
    moved.rename(tmp_path)


def test_a_wheel_is_taken_apart(tmp_path, archive, monkeypatch):
    asked = []

    def pip(requirement: str, folder: Path) -> Path:
        asked.append(requirement)
        folder.mkdir(parents=True)
        (folder / "sounds-1.0-py3-none-any.whl").write_bytes(archive)
        return folder / "sounds-1.0-py3-none-any.whl"

    monkeypatch.setattr(fetch, "pip_download", pip)
    dataset = config({"pypi": "sounds==1.0", "sha256": sha256(archive)})
    prepare(dataset, tmp_path, keep_archives=True)
    assert len(read_dataset(dataset, tmp_path)) == 6
    shutil.rmtree(tmp_path / "audio")
    prepare(dataset, tmp_path)
    assert asked == ["sounds==1.0"]
    with pytest.raises(UserError, match="set aside"):
        prepare(config({"pypi": "sounds==1.0", "sha256": "0" * 64}), tmp_path / "other")


@pytest.mark.parametrize("requirement", ["sounds", "sounds>=1", "--index-url=x", "sounds==1.0; echo"])
def test_only_pinned_requirements_reach_pip(tmp_path, requirement):
    with pytest.raises(UserError, match="name==version"):
        indexes.pip_download(requirement, tmp_path)


def test_a_hub_repository_becomes_a_folder(tmp_path, monkeypatch):
    revision = "a" * 40

    def snapshot(repository: str, **options: Any) -> None:
        assert (repository, options["revision"], options["allow_patterns"]) == ("who/what", revision, ["set/*"])
        write(options["local_dir"] / "set/a/1.wav")
        write(options["local_dir"] / "set/b/2.wav")
        (options["local_dir"] / ".cache").mkdir()

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    dataset = config({"huggingface": "who/what", "revision": revision, "files": ["set/*"]})
    prepare(dataset, tmp_path)
    assert [clip.id for clip in read_dataset(dataset, tmp_path)] == ["set/a/1.wav", "set/b/2.wav"]
    assert not (tmp_path / "audio/mine/.cache").exists()


def test_progress_reaches_the_end(server, tmp_path, archive):
    steps = []
    prepare(config({"http": server.add("a.zip", archive)}), tmp_path, lambda *step: steps.append(step))
    assert steps[-1] == ("a.zip", len(archive), len(archive))


def rendered(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    calls: list[tuple] = []

    def render(recipe: str, out: Path, seed: int, scale: float, workers: int, progress: Any) -> None:
        calls.append((recipe, seed, scale))
        assert not (out / "clips.csv").exists()
        write(out / "audio/1.flac")
        if progress is not None:
            progress(1, 1)
        (out / "clips.csv").write_text("id,path,group,split,label\none,audio/1.flac,g,,x\n")

    monkeypatch.setattr("benchmark.datasets.render.render", render)
    return calls


def test_rendered_sets_are_made_once(tmp_path, monkeypatch):
    calls = rendered(monkeypatch)
    dataset = parse({"name": "mine", "rendered": "speakers"}, DatasetConfig, "mine.yaml")
    steps = []
    assert prepare(dataset, tmp_path, lambda *step: steps.append(step), seed=3).fresh
    assert not prepare(dataset, tmp_path, seed=3).fresh
    assert prepare(dataset, tmp_path, seed=4, scale=0.5).fresh
    assert calls == [("speakers", 3, 1.0), ("speakers", 4, 0.5)]
    assert steps == [("mine", 1, 1)]
    (clip,) = read_dataset(dataset, tmp_path)
    assert (clip.id, clip.group, clip.split, clip.labels["label"]) == ("one", "g", None, "x")
    monkeypatch.setattr(sources, "code_version", lambda _: "changed")
    assert prepare(dataset, tmp_path, seed=4, scale=0.5).fresh


def test_a_rendered_set_that_was_interrupted_is_not_ready(tmp_path, monkeypatch):
    calls = rendered(monkeypatch)
    dataset = parse({"name": "mine", "rendered": {"recipe": "speakers", "seed": 9}}, DatasetConfig, "mine.yaml")
    prepare(dataset, tmp_path)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.datasets.render.render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, scale=2.0)
    assert not is_ready(dataset, tmp_path)
    assert calls == [("speakers", 9, 1.0)]


def test_ones_own_files_need_only_be_there(tmp_path):
    (tmp_path / "sounds").mkdir()
    (tmp_path / "t.csv").touch()
    here = [{"folder": str(tmp_path / "sounds")}, {"csv": str(tmp_path / "t.csv")}]
    for keys in here:
        assert not prepare(parse({"name": "mine", **keys}, DatasetConfig, "m"), tmp_path).fresh
    for keys in ({"folder": str(tmp_path / "t.csv")}, {"csv": str(tmp_path / "gone.csv")}):
        with pytest.raises(UserError, match="mend the path"):
            prepare(parse({"name": "mine", **keys}, DatasetConfig, "m"), tmp_path)
