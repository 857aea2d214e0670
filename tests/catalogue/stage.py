"""A project whose one dataset is a miniature of the catalogue's, served on 127.0.0.1 in place of the real host."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmark.config.catalogue import Catalogue
from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig, SourceConfig
from benchmark.config.schema_params import Params
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import STEM, Clip
from benchmark.datasets.fetch import file_name
from benchmark.datasets.places import audio_folder, manual_folder
from benchmark.datasets.read import read_dataset
from benchmark.datasets.render import RECIPES
from benchmark.engine.download import download
from benchmark.engine.items import TaskItems, task_items
from benchmark.engine.plan import Project
from tests.catalogue.miniature import Folder, Miniature, makers, write_folder
from tests.datasets.server import Server

ROOT = Path(__file__).parents[2]


@lru_cache
def catalogue() -> Catalogue:
    """The catalogue of the repository."""
    return Catalogue.read(ROOT)


def real_datasets() -> list[str]:
    """Names of the datasets that are not made here."""
    return [name for name, config in catalogue().datasets.items() if config.rendered is None]


def rendered_tasks() -> list[TaskConfig]:
    """The tasks on what is made here."""
    return [task for task in catalogue().tasks.values() if catalogue().dataset_of(task).rendered is not None]


def planned_items(task: TaskConfig, root: Path) -> TaskItems:
    """The items of a task on a rendered dataset as its recipe plans it, with empty files below `root` as sounds."""
    config = catalogue().dataset_of(task)
    assert config.rendered is not None
    recipe = RECIPES[config.rendered.recipe]
    rows = []
    for plan in recipe.plan(1.0):
        (root / f"{plan.id}.flac").touch()
        stems = {f"{STEM}{name}": f"{plan.id}.flac#channel={i}" for i, name in enumerate(recipe.stems)}
        rows.append({"id": plan.id, "path": f"{plan.id}.flac", "group": plan.group, **plan.labels, **stems})
    (root / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    here = config.model_copy(update={"rendered": None, "csv": str(root / "clips.jsonl")})
    return task_items(task, read_dataset(here, root), task.name, folder=root)


def tasks_of(dataset: str) -> list[TaskConfig]:
    """The tasks that the catalogue has on a dataset."""
    return [task for task in catalogue().tasks.values() if task.dataset == dataset]


class Stage:
    """The project of one miniature, with the real YAMLs of its dataset and tasks."""

    def __init__(self, dataset: str, root: Path, server: Server) -> None:
        self.real = catalogue().datasets[dataset]
        self.miniature = makers()[dataset]()
        self.config = _pinned(self.real, self.miniature)
        self._put(root / "data", server)
        params = parse(
            {
                "profile": "full",
                "profiles": {"full": {}},
                "device": "cpu",
                "data": {"root": "data", "mirrors": {"*": server.url("")}},
                "probe": {"logistic": {"C": [1.0], "max_iter": 30}, "mlp": {"max_epochs": 2}},
                "engine": {"workers": 1},
            },
            Params,
            "params.yaml",
        )
        tasks = {task.name: task for task in tasks_of(dataset)}
        embedding = catalogue().embeddings["mfcc-stats"]
        here = Catalogue(root, {dataset: self.config}, tasks, {embedding.name: embedding})
        self.project = Project(root, params, here, list(tasks.values()), [embedding])

    def download(self) -> None:
        """Run the download stage."""
        outcome = download(self.project)
        assert not outcome.failures, outcome.failures

    @property
    def clips(self) -> list[Clip]:
        return self.project.clips(self.config.name)

    def items(self, task: TaskConfig, clips: Sequence[Clip] | None = None) -> TaskItems:
        """The items of a task among the clips, or among others."""
        folder = audio_folder(self.config, self.project.data_root)
        return task_items(task, self.clips if clips is None else clips, task.name, folder=folder)

    def _put(self, data_root: Path, server: Server) -> None:
        """Serve what the sources ask for at their last address, and put by hand what a person would."""
        left = dict(self.miniature.files)
        # What is joined may be given too, for its checksum.
        asked = {key for key, _, _ in _wanted(self.real)}
        for source in self.real.sources or []:
            if (joined := _key(source.model_dump())) not in asked:
                left.pop(joined, None)
        for key, source, addresses in _wanted(self.real):
            content = left.pop(key)
            if source.manual is not None:
                folder = manual_folder(self.config, data_root)
                write_folder(
                    folder, {str(source.file): content} if isinstance(content, bytes) else _below(source, content)
                )
                continue
            assert isinstance(content, bytes), f"{key}: is no folder of a person's"
            server.add("{0.netloc}{0.path}".format(urlsplit(addresses[-1])), content)
        assert not left, f"{self.real.name} has no sources {', '.join(left)}"


def _below(source: SourceConfig, content: Folder) -> Folder:
    return {f"{source.file}/{name}": inner for name, inner in content.items()}


def _wanted(config: DatasetConfig) -> Iterator[tuple[str, SourceConfig, list[str]]]:
    """Key in `Miniature.files`, source and addresses of each file."""
    for source in config.sources or []:
        front = "" if source.to == "." else f"{source.to}/"
        if source.parts:
            for part in source.parts:
                yield front + urlsplit(part.http[0]).path.rpartition("/")[2], source, part.http
        elif source.zenodo:
            yield front + file_name(source), source, [f"https://zenodo.org/records/{source.zenodo}/files/{source.file}"]
        else:
            yield front + file_name(source), source, source.http or []


def _pinned(config: DatasetConfig, mini: Miniature) -> DatasetConfig:
    """The description with the miniature's checksums and numbers instead of the real ones; nothing else changes."""
    data = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    for source in data["sources"]:
        _pin(source, mini.files.get(_key(source), b""))
        for part in source["parts"]:
            _pin(part, mini.files[_key(source, part)])
    data["expect"] = mini.expect
    return parse({**data, "verified": True}, DatasetConfig, f"miniature of {config.name}")


def _key(source: dict[str, Any], part: dict[str, Any] | None = None) -> str:
    """The key of a source's file, or of one of its parts', in `Miniature.files`."""
    name = urlsplit(part["http"][0]).path.rpartition("/")[2] if part else file_name(SourceConfig.model_validate(source))
    return name if source["to"] == "." else f"{source['to']}/{name}"


def _pin(entry: dict[str, Any], content: bytes | Folder) -> None:
    given = [kind for kind in ("sha256", "md5") if entry.pop(kind, None) is not None]
    entry.pop("bytes", None)
    # The miniature need not give a file that is joined of parts.
    if isinstance(content, bytes) and content:
        entry |= {kind: hashlib.new(kind, content).hexdigest() for kind in given}
        entry["bytes"] = len(content)
