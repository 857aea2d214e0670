"""All YAML files of a project folder: datasets, tasks, embeddings and separators by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from benchmark.config.load import load, parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.config.schema_embedding import EmbeddingConfig, WeightsConfig
from benchmark.config.schema_params import Params
from benchmark.config.schema_separator import SeparatorConfig
from benchmark.config.schema_task import TaskConfig
from benchmark.errors import UserError

Named = TypeVar("Named", bound=BaseModel)
Overridden = TypeVar("Overridden", EmbeddingConfig, SeparatorConfig)

# Sections of a YAML of which a profile may set single keys.
_MERGED = ("args", "pretrain", "stft", "train", "training")


@dataclass(frozen=True)
class Catalogue:
    """What a project folder describes, each kind by name and sorted by it."""

    root: Path
    datasets: Mapping[str, DatasetConfig]
    tasks: Mapping[str, TaskConfig]
    embeddings: Mapping[str, EmbeddingConfig]
    separators: Mapping[str, SeparatorConfig] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Catalogue":
        """Read every YAML below `root`; paths in them that are relative are so to `root`.

        Raises:
            UserError: the first file that is wrong; none is ever skipped.
        """
        problems, catalogue = cls.examine(root)
        if problems:
            raise problems[0]
        return catalogue

    @classmethod
    def examine(cls, root: Path) -> tuple[list[UserError], "Catalogue"]:
        """Read every YAML below `root`; what is wrong is listed, what is right is in the catalogue."""
        problems: list[UserError] = []
        catalogue = cls(
            root,
            {
                name: _dataset_at(c, root)
                for name, c in _read_folder(root / "datasets", DatasetConfig, problems).items()
            },
            {name: _task_at(c, root) for name, c in _read_folder(root / "tasks", TaskConfig, problems).items()},
            {
                name: _embedding_at(c, root)
                for name, c in _read_folder(root / "embeddings", EmbeddingConfig, problems).items()
            },
            {
                name: _separator_at(c, root)
                for name, c in _read_folder(root / "separators", SeparatorConfig, problems).items()
            },
        )
        for task in catalogue.tasks.values():
            where = root / "tasks" / f"{task.name}.yaml"
            # A dataset whose own file is wrong is reported there.
            named = isinstance(task.dataset, str) and task.dataset not in catalogue.datasets
            if named and not (root / "datasets" / f"{task.dataset}.yaml").exists():
                known = ", ".join(catalogue.datasets) or "none"
                problems.append(UserError(f"{where}: dataset: {task.dataset!r} is unknown; known datasets: {known}"))
        return problems, catalogue

    def with_folders(self, folders: Mapping[str, str]) -> "Catalogue":
        """The catalogue with the files of some datasets taken from folders where a person has them unpacked already.

        Args:
            folders: name of a dataset, or a glob of names -> folder, relative to the project's.

        Raises:
            UserError: a name is unknown, or the dataset is not one that is fetched.
        """
        datasets = dict(self.datasets)
        fetched = [name for name, config in datasets.items() if config.sources is not None]
        for pattern, folder in folders.items():
            where = "params.yaml: data.folders"
            if pattern in datasets and pattern not in fetched:
                raise UserError(f"{where}: {pattern}: is not fetched from anywhere; name a dataset that is")
            for name in select(fetched, [pattern], "dataset"):
                data = self.datasets[name].model_dump(by_alias=True, exclude_none=True, exclude={"sources", "make"})
                datasets[name] = parse({**data, "folder": _path_at(folder, self.root)}, DatasetConfig, where)
        return replace(self, datasets=datasets)

    def dataset_of(self, task: TaskConfig) -> DatasetConfig:
        """The dataset that `task` names or holds."""
        return self.datasets[task.dataset] if isinstance(task.dataset, str) else task.dataset

    def task_file(self, task: TaskConfig) -> Path:
        return self.root / "tasks" / f"{task.name}.yaml"


def read_params(root: Path) -> Params:
    """params.yaml of the project folder `root`."""
    path = root / "params.yaml"
    if not path.exists():
        raise UserError(f"{path}: no such file; run leveret in a project folder (one with params.yaml), or give --root")
    return load(path, Params)


def select(names: Iterable[str], patterns: Iterable[str], what: str) -> list[str]:
    """The names that match the patterns: globs, where `!glob` takes names out again. The order of `names` is kept.

    Raises:
        UserError: a pattern without `*`, `?` or `[` matches nothing, which is a name mistyped.
    """
    names = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if fnmatchcase(name, pattern.removeprefix("!"))}
        if not hits and not any(mark in pattern for mark in "*?["):
            raise UserError(
                f"{what}: {pattern.removeprefix('!')!r} is unknown; `leveret list {what}s` shows what there is"
            )
        chosen = chosen - hits if pattern.startswith("!") else chosen | hits
    return [name for name in names if name in chosen]


def in_profile(config: TaskConfig | EmbeddingConfig | SeparatorConfig, profile: str) -> bool:
    """Whether a task, an embedding or a separator is in a profile: in all of them, unless its YAML names some."""
    return config.profiles is None or profile in config.profiles


def override(config: Overridden, overrides: Mapping[str, Mapping[str, Any]], root: Path) -> Overridden:
    """`config` with the keys that a profile sets for it; sections (`args`, `train`, ...) are merged key by key, and paths are
    relative to the project folder `root`.
    """
    data = config.model_dump(mode="python")
    for pattern, keys in overrides.items():
        if fnmatchcase(config.name, pattern):
            merged = {key: {**(data.get(key) or {}), **keys[key]} for key in _MERGED if keys.get(key)}
            data = {**data, **keys, **merged}
    made = parse(data, type(config), f"params.yaml: overrides for {config.name}")
    return _embedding_at(made, root) if isinstance(made, EmbeddingConfig) else _separator_at(made, root)


def _dataset_at(config: DatasetConfig, root: Path) -> DatasetConfig:
    given = {field: getattr(config, field) for field in ("folder", "csv") if getattr(config, field) is not None}
    return config.model_copy(update={field: _path_at(path, root) for field, path in given.items()})


def _task_at(config: TaskConfig, root: Path) -> TaskConfig:
    if isinstance(config.dataset, str):
        return config
    return config.model_copy(update={"dataset": _dataset_at(config.dataset, root)})


def _embedding_at(config: EmbeddingConfig, root: Path) -> EmbeddingConfig:
    # A second file of weights is described among the arguments, as the first one is.
    args = {
        name: {**value, "file": _path_at(value["file"], root)} if is_local_source(value) else value
        for name, value in config.args.items()
    }
    weights = None if config.weights is None else _weights_at(config.weights, root)
    return config.model_copy(update={"args": args, "weights": weights})


def _separator_at(config: SeparatorConfig, root: Path) -> SeparatorConfig:
    if config.weights is None:
        return config
    weights = {name: _weights_at(one, root) for name, one in config.weights.items()}
    return config.model_copy(update={"weights": weights})


def _weights_at(weights: WeightsConfig, root: Path) -> WeightsConfig:
    if not is_local_source(weights.model_dump(exclude_none=True)):
        return weights
    return weights.model_copy(update={"file": _path_at(str(weights.file), root)})


def is_local_source(value: Any) -> bool:
    """Whether `value` describes a file on this machine, in the way of `weights`."""
    if not isinstance(value, Mapping) or not isinstance(value.get("file"), str):
        return False
    return not any(value.get(kind) for kind in ("pypi", "http", "huggingface"))


def _path_at(path: str, root: Path) -> str:
    return str(root.resolve() / Path(path).expanduser())


def _read_folder(folder: Path, schema: type[Named], problems: list[UserError]) -> dict[str, Named]:
    found = {}
    for path in sorted(folder.glob("*.y*ml")):
        try:
            config = load(path, schema)
            if config.name != path.stem:
                raise UserError(f"{path}: name: {config.name!r} differs from the file's name; call both the same")
            found[config.name] = config
        except UserError as error:
            problems.append(error)
    return dict(sorted(found.items()))
