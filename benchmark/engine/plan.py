"""What there is to do, and under which content keys: shards to extract and runs to probe.

Nothing here decodes audio or imports torch: planning a finished project takes seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.config.catalogue import Catalogue, in_profile, is_local_source, override, read_params, select
from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_embedding import EmbeddingConfig, WeightsConfig
from benchmark.config.schema_params import Params
from benchmark.config.schema_separator import SeparatorConfig
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.digests import Digests
from benchmark.datasets.read import read_dataset
from benchmark.datasets.sources import is_current
from benchmark.datasets.transfer import sha256_file
from benchmark.embeddings.registry import family_module
from benchmark.embeddings.weights import is_here, is_local, resolve
from benchmark.engine.pretrain_plan import trained_file
from benchmark.errors import UserError

# Fields of an embedding's YAML that say something about it and change none of its vectors.
COSMETIC = {
    "title",
    "citation",
    "licence",
    "homepage",
    "note",
    "pool",
    "trainable",
    "training",
    "strategies",
    "pretrain",
    "scaling",
    "profiles",
}

# What makes frames, beside the family, and the settings that change them. Batches do not, but for the last bits.
_EXTRACTION = ("benchmark.engine.embed_clips", "benchmark.embeddings.running", "benchmark.engine.precision")
_KEYED = {"dtype", "precision", "compile"}
# What files that belong to weights are called (`benchmark.embeddings.weight_files.companion`).
_COMPANIONS = {".npz", ".npy", ".index"}


@dataclass(frozen=True)
class ShardPlan:
    """Some clips of a dataset, and the key of their frames under one embedding."""

    key: str
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class EmbeddingPlan:
    """An embedding as the profile sets it, with the parts of its content key."""

    config: EmbeddingConfig
    ingredients: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        return content_key(dict(self.ingredients))


@dataclass
class Project:
    """A project folder with its parameters, its catalogue, and what of it is selected."""

    root: Path
    params: Params
    catalogue: Catalogue
    tasks: list[TaskConfig]
    embeddings: list[EmbeddingConfig]
    separators: list[SeparatorConfig] = field(default_factory=list)
    _clips: dict[str, list[Clip]] = field(default_factory=dict)
    _digests: dict[str, dict[str, str]] = field(default_factory=dict)
    _asked: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(
        cls, root: Path, tasks: Sequence[str] = (), embeddings: Sequence[str] = (), separators: Sequence[str] = ()
    ) -> "Project":
        """Read the folder; names or globs narrow down the profile's selection, and full names add to it.

        Raises:
            UserError: a file is wrong, or a name is unknown.
        """
        params = read_params(root)
        catalogue = Catalogue.read(root).with_folders(params.data.folders)
        only_here = [
            name
            for name in (
                select(catalogue.embeddings, params.active.if_here, "embedding") if params.active.if_here else []
            )
            if name not in embeddings and not is_here(catalogue.embeddings[name].weights)
        ]
        chosen_tasks = _choose(catalogue.tasks, params.active.tasks, tasks, params.profile, "task")
        chosen_embeddings = _choose(
            catalogue.embeddings, params.active.embeddings, embeddings, params.profile, "embedding"
        )
        chosen_separators = _choose(
            catalogue.separators, params.active.separators, separators, params.profile, "separator"
        )
        return cls(
            root,
            params,
            catalogue,
            [catalogue.tasks[name] for name in chosen_tasks],
            [
                override(catalogue.embeddings[name], params.active.overrides, root)
                for name in chosen_embeddings
                if name not in only_here
            ],
            [
                override(_shrunk(catalogue.separators[name], root, params.active.shrink), params.active.overrides, root)
                for name in chosen_separators
            ],
        )

    @property
    def data_root(self) -> Path:
        return self.root / self.params.data.root

    @property
    def probed_tasks(self) -> list[TaskConfig]:
        """The selected tasks that ask something of embeddings; separation asks nothing of them."""
        return [task for task in self.tasks if task.kind != "separation"]

    def dataset_names(self, tasks: Iterable[TaskConfig] | None = None) -> list[str]:
        """Names of the datasets of the selected tasks (or of some of them), sorted."""
        return sorted({self.catalogue.dataset_of(task).name for task in (self.tasks if tasks is None else tasks)})

    def sounds_of(self, task: TaskConfig) -> str:
        """What a task hears, by name: its dataset, or `<dataset>@<front end>`."""
        dataset = self.catalogue.dataset_of(task).name
        return dataset if task.front_end is None else f"{dataset}@{task.front_end.slug}"

    def heard_tasks(self) -> list[TaskConfig]:
        """The selected tasks with a front end, and those that the selected embeddings are trained on."""
        names = {name for config in self.embeddings if config.pretrain for name in config.pretrain.tasks}
        sources = [task for name, task in self.catalogue.tasks.items() if name in names]
        found = {task.name: task for task in [*self.probed_tasks, *sources] if task.front_end is not None}
        return list(found.values())

    def asks(self, task: TaskConfig, embedding: str) -> bool:
        """Whether a task asks something of an embedding.

        Raises:
            UserError: the task names none that there is.
        """
        globs = task.smoke.embeddings if self.params.active.shrink and task.smoke.embeddings else task.embeddings
        if globs == ["*"]:
            return True
        if task.name not in self._asked:
            self._asked[task.name] = set(select(self.catalogue.embeddings, globs, "embedding"))
        return embedding in self._asked[task.name]

    def dataset(self, name: str) -> Any:
        """The configuration of a dataset, inline ones included."""
        # What is not selected may still be what a network is trained on.
        for task in [*self.tasks, *self.catalogue.tasks.values()]:
            config = self.catalogue.dataset_of(task)
            if config.name == name:
                return config
        raise KeyError(name)

    def source_dataset_names(self) -> list[str]:
        """Names of the datasets that the selected embeddings, and the separators of front ends, are trained on, sorted."""
        names = [name for config in self.embeddings if config.pretrain for name in config.pretrain.tasks]
        names += [task.front_end.trained_on for task in self.heard_tasks() if task.front_end.trained_on]
        tasks = self.catalogue.tasks
        return sorted({self.catalogue.dataset_of(tasks[name]).name for name in names if name in tasks})

    def clips(self, dataset: str) -> list[Clip]:
        """Clips of a dataset, or of one behind a front end (`sounds_of`), sorted by id, read once."""
        if dataset not in self._clips:
            if "@" in dataset:
                from benchmark.engine.front_ends import heard_clips

                task = next(task for task in self.catalogue.tasks.values() if self.sounds_of(task) == dataset)
                self._clips[dataset] = heard_clips(self, task)
            else:
                self._clips[dataset] = read_dataset(self.dataset(dataset), self.data_root)
        return self._clips[dataset]

    def is_current(self, dataset: str) -> bool:
        """Whether the files of a dataset are those that its description and params.yaml ask for now."""
        data = self.params.data
        return is_current(self.dataset(dataset), self.data_root, seed=data.render_seed, scale=data.render_scale)

    def digests(self, dataset: str) -> dict[str, str]:
        """Digest of the audio of each clip of a dataset by clip id, the part of the file that it is included."""
        if dataset not in self._digests:
            with Digests(self.data_root) as ledger:
                of_file = ledger.of_files({clip.path for clip in self.clips(dataset)})
            self._digests[dataset] = {
                clip.id: content_key([of_file[clip.path], clip.start, clip.end]) for clip in self.clips(dataset)
            }
        return self._digests[dataset]

    def plan_embedding(self, config: EmbeddingConfig, with_weights: bool = True) -> EmbeddingPlan:
        """The parts of the embedding's content key; `with_weights` is false for a network that is trained from scratch.

        Raises:
            UserError: the family is unknown, its weights or its module cannot be had, or it is not trained.
        """
        weights = "none"
        if not with_weights:
            config = config.model_copy(update={"weights": None})
        elif config.pretrain is not None:
            path, key = trained_file(self, config)
            config = config.model_copy(update={"weights": WeightsConfig(file=str(path))})
            weights = content_key([key, sha256_file(path)])
        else:
            weights = _weights_digest(config)
        described = config.model_dump(mode="json", exclude=COSMETIC | {"weights"})
        described["args"] = {
            name: sha256_file(Path(value["file"]))
            if is_local_source(value) and Path(value["file"]).is_file()
            else value
            for name, value in config.args.items()
        }
        modules = [family_module(config), *_EXTRACTION]
        try:
            code = code_version(*modules, *([config.module] if config.module else []))
        except Exception as error:
            # Finding another's module runs its package, which may fail in any way.
            if not config.module:
                raise
            where = self.root / "embeddings" / f"{config.name}.yaml"
            raise UserError(f"{where}: module: {config.module} cannot be found ({error}); install it") from None
        return EmbeddingPlan(
            config,
            {
                "embedding": content_key({**described, **self.params.extract.model_dump(include=_KEYED)}),
                "weights": weights,
                "extract_code": code,
            },
        )

    def plan_shards(self, embedding: EmbeddingPlan, dataset: str) -> list[ShardPlan]:
        """The shards that hold a dataset's frames under an embedding."""
        clips, digests = self.clips(dataset), self.digests(dataset)
        size = self.params.extract.shard_clips
        plans = []
        for start in range(0, len(clips), size):
            part = tuple(clips[start : start + size])
            plans.append(ShardPlan(content_key([embedding.key, [[c.id, digests[c.id]] for c in part]]), part))
        return plans


def shrunk_separator(project: Project, name: str) -> SeparatorConfig:
    """A separator of the catalogue as the profile sets it."""
    params = project.params.active
    shrunk = _shrunk(project.catalogue.separators[name], project.root, params.shrink)
    return override(shrunk, params.overrides, project.root)


def _shrunk(config: SeparatorConfig, root: Path, shrink: bool) -> SeparatorConfig:
    try:
        return config.shrunk() if shrink else config
    except ValueError as error:
        first = str(error).splitlines()[-1].strip()
        raise UserError(f"{root / 'separators' / config.name}.yaml: smoke: {first}") from None


def _choose(
    configs: Mapping[str, Any], patterns: Sequence[str], asked: Sequence[str], profile: str, what: str
) -> list[str]:
    """Names in the profile that are asked for; what is asked for by its full name is in whatever the profile says."""
    inside = [name for name in select(configs, patterns, what) if in_profile(configs[name], profile)]
    if not asked:
        return inside
    wanted = select(configs, asked, what)
    return [name for name in wanted if name in inside or name in asked]


def _weights_digest(config: EmbeddingConfig) -> str:
    """The checksum that the YAML gives, which is checked before use; else that of the file itself, fetched if need be.

    Statistics and the like that a family may look for beside local weights count too.
    """
    if config.weights is None:
        return "none"
    if config.weights.sha256 and not is_local(config.weights):
        return config.weights.sha256
    path = resolve(config.weights, f"embeddings/{config.name}.yaml")
    digest = config.weights.sha256 or sha256_file(path)
    if not is_local(config.weights):
        return digest
    beside = {p.name: sha256_file(p) for p in path.parent.iterdir() if p.suffix in _COMPANIONS and p != path}
    return content_key([digest, beside]) if beside else digest


def plan_embeddings(project: Project, configs: Iterable[EmbeddingConfig]) -> tuple[list[EmbeddingPlan], dict[str, str]]:
    """Plans of the embeddings that can be had, and the reasons for the others by name."""
    plans, failed = [], {}
    for config in configs:
        try:
            plans.append(project.plan_embedding(config))
        except UserError as error:
            failed[config.name] = str(error)
    return plans, failed
