import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmark.audio.io import decode
from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets.parquet import unpack_parquet
from benchmark.datasets.read import read_dataset
from benchmark.datasets.sources import prepare
from benchmark.errors import UserError
from tests.datasets.sounds import tone, write

REVISION = "b" * 40


def make(tmp_path: Path, target: Path, count: int = 3) -> Path:
    """A file as the hub's library writes it: sounds, a class as a number, a speaker."""
    kinds = [".wav", ".flac", ".ogg"]
    sounds = [write(tmp_path / f"s{i}{kinds[i % 3]}", tone(hz=200 + 50 * i)).read_bytes() for i in range(count)]
    table = pa.table(
        {
            "audio": [{"bytes": sound, "path": f"{i}.xyz"} for i, sound in enumerate(sounds)],
            "label": [i % 2 for i in range(count)],
            "speaker": [f"s{i}" for i in range(count)],
        }
    )
    features = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "audio": {"_type": "Audio"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, target)
    return target


def test_sounds_and_their_fields_come_out(tmp_path):
    unpack_parquet(make(tmp_path, tmp_path / "a.parquet"), tmp_path / "out", "data/a")
    rows = [json.loads(line) for line in (tmp_path / "out/rows.jsonl").read_text().splitlines()]
    assert rows == [
        {"path": "data/a/0000000.wav", "label": "no", "speaker": "s0"},
        {"path": "data/a/0000001.flac", "label": "yes", "speaker": "s1"},
        {"path": "data/a/0000002.ogg", "label": "no", "speaker": "s2"},
    ]
    for row in rows:
        assert len(decode(tmp_path / "out" / Path(row["path"]).name, 8_000)) == 800


def test_a_hub_dataset_becomes_clips(tmp_path, monkeypatch):
    def snapshot(*_: object, local_dir: Path, **__: Any) -> None:
        make(tmp_path, local_dir / "data/train-00000-of-00001.parquet", 4)
        make(tmp_path, local_dir / "data/test-00000-of-00001.parquet", 2)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    description = {
        "name": "mine",
        "sources": [{"huggingface": "who/what", "revision": REVISION, "to": "hub"}],
        "items": [{"table": "**/rows.jsonl", "path_regex": "data/(?P<split>train|test)-"}],
        "group": "speaker",
    }
    config = parse(description, DatasetConfig, "mine.yaml")
    prepare(config, tmp_path / "data")
    clips = read_dataset(config, tmp_path / "data")
    assert [(clip.split, clip.group, clip.labels["label"]) for clip in clips] == [
        ("test", "s0", "no"),
        ("test", "s1", "yes"),
        ("train", "s0", "no"),
        ("train", "s1", "yes"),
        ("train", "s2", "no"),
        ("train", "s3", "yes"),
    ]
    assert not list((tmp_path / "data/audio").rglob("*.parquet"))


def test_damaged_files_and_files_without_sound(tmp_path):
    file = make(tmp_path, tmp_path / "a.parquet")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        unpack_parquet(file, tmp_path / "out", "")
    parquet.write_table(pa.table({"audio": [{"bytes": b"", "path": "x.wav"}]}), file)
    with pytest.raises(UserError, match="row 0 has no sound"):
        unpack_parquet(file, tmp_path / "out", "")
    parquet.write_table(pa.table({"id": [1, 2]}), file)
    unpack_parquet(file, tmp_path / "text", "")
    assert (tmp_path / "text/rows.jsonl").read_text() == '{"id": 1}\n{"id": 2}\n'
