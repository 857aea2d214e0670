"""The extract stage: frames of every selected dataset under every selected embedding, into the store."""

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from tqdm import tqdm

from benchmark.audio.io import seconds
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.config.schema_params import ExtractParams
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.embeddings.weights import resolve
from benchmark.engine.embed_clips import Sink, embed_clips
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project, plan_embeddings
from benchmark.engine.pool import run_jobs
from benchmark.errors import ClipError, UserError
from benchmark.store.store import Store

# Seconds of audio, counted once for each embedding that they go through; `rate` is so many a second.
_BAR = "{desc}: {percentage:3.0f}% {n:.0f}/{total:.0f} s of audio, {rate_noinv_fmt}, {elapsed}, {remaining} left"


@dataclass(frozen=True)
class Target:
    """A shard that is to be made: an embedding, its weights here, and the key."""

    config: EmbeddingConfig
    weights: Path | None
    key: str
    provenance: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExtractJob:
    """Some clips of a dataset, decoded once for all embeddings that still want them."""

    store: Path
    dataset: str
    clips: tuple[Clip, ...]
    targets: tuple[Target, ...]
    settings: ExtractParams
    device: str

    @cached_property
    def seconds(self) -> float:
        """Audio to be embedded: the clips' length once for every target; what cannot be read counts nothing."""
        total = 0.0
        for clip in self.clips:
            with contextlib.suppress(ClipError):
                if clip.start is None or clip.end is None:
                    total += seconds(clip.path, clip.start, clip.end)
                else:
                    total += clip.end - clip.start
        return total * len(self.targets)


def store_of(project: Project) -> Store:
    """The project's store of embeddings."""
    return Store(project.data_root / "embeddings")


def extract(project: Project) -> Outcome:
    """Make every shard that is not in the store under its key; remove those that no key asks for any more."""
    outcome = Outcome()
    store = store_of(project)
    devices = project.params.extract.devices or [device_of(project)]
    plans, failed = plan_embeddings(project, [c for c in project.embeddings if c.follows("frozen")])
    outcome.failures += [Failure(name, reason) for name, reason in sorted(failed.items())]
    jobs: list[ExtractJob] = []
    keep: dict[tuple[str, str], set[str]] = defaultdict(set)
    heard: dict[str, list[TaskConfig]] = defaultdict(list)
    for task in project.probed_tasks:
        heard[project.sounds_of(task)].append(task)
    for dataset, tasks in sorted(heard.items()):
        targets: dict[tuple[Clip, ...], list[Target]] = defaultdict(list)
        try:
            project.clips(dataset)
        except UserError as error:
            if "@" not in dataset:
                raise
            outcome.failures.append(Failure(dataset, str(error)))
            continue
        for plan in plans:
            if not any(project.asks(task, plan.config.name) for task in tasks):
                continue
            for shard in project.plan_shards(plan, dataset):
                keep[plan.config.name, dataset].add(shard.key)
                if store.has(plan.config.name, dataset, shard.key):
                    outcome.reused += 1
                else:
                    provenance = tuple(sorted(plan.ingredients.items()))
                    targets[shard.clips].append(Target(plan.config, None, shard.key, provenance))
        for clips, wanted in targets.items():
            # Shards take turns on the devices.
            device = devices[len(jobs) % len(devices)]
            jobs.append(ExtractJob(store.root, dataset, clips, tuple(wanted), project.params.extract, device))
    jobs = _with_weights(jobs, outcome)
    total = sum(job.seconds for job in jobs)
    with tqdm(total=total, desc="extract", unit=" audio-s", bar_format=_BAR, mininterval=2, disable=not jobs) as bar:
        for job, done, reason in run_jobs(
            extract_job, jobs, project.params.engine.workers, project.params.engine.backend
        ):
            bar.update(job.seconds)
            if reason is not None:
                outcome.failures += [Failure(f"{t.config.name} on {job.dataset}", reason) for t in job.targets]
                continue
            outcome.computed += len(job.targets) - len(done)
            outcome.failures += [Failure(f"{name} on {job.dataset}", why) for name, why in done.items()]
    for (embedding, dataset), keys in keep.items():
        store.prune(embedding, dataset, keys)
    if project.data_root.resolve().is_relative_to(project.root.resolve()):
        # A store elsewhere may serve other projects, whose embeddings are unknown here.
        store.forget(dict.fromkeys(project.catalogue.embeddings, _datasets(project)))
    return outcome


def _datasets(project: Project) -> set[str]:
    """Names of all datasets that the project describes, those held by tasks included."""
    catalogue = project.catalogue
    tasks = catalogue.tasks.values()
    return {*catalogue.datasets, *(catalogue.dataset_of(task).name for task in tasks), *map(project.sounds_of, tasks)}


def device_of(project: Project) -> str:
    """The device that params.yaml asks for; `auto` takes a GPU where there is one."""
    if project.params.device != "auto":
        return project.params.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _with_weights(jobs: list[ExtractJob], outcome: Outcome) -> list[ExtractJob]:
    """The jobs with every embedding's weights fetched; embeddings whose weights cannot be had leave them, once each."""
    configs = {target.config.name: target.config for job in jobs for target in job.targets}
    paths: dict[str, Path | None] = {}
    for name, config in sorted(configs.items()):
        try:
            paths[name] = resolve(config.weights, f"embeddings/{name}.yaml")
        except UserError as error:
            outcome.failures.append(Failure(name, str(error)))
    ready = []
    for job in jobs:
        targets = tuple(
            Target(t.config, paths[t.config.name], t.key, t.provenance) for t in job.targets if t.config.name in paths
        )
        if targets:
            ready.append(ExtractJob(job.store, job.dataset, job.clips, targets, job.settings, job.device))
    return ready


def extract_job(job: ExtractJob) -> dict[str, str]:
    """Decode the clips once a rate, and write a shard for every target; returns the reasons of those that failed."""
    store = Store(job.store)
    failed: dict[str, str] = {}
    by_rate = defaultdict(list)
    for target in job.targets:
        try:
            embedding = _embedding(
                target.config.model_dump_json(), target.weights, job.device, job.settings.model_dump_json()
            )
            by_rate[embedding.sample_rate].append((target, embedding))
        except UserError as error:
            failed[target.config.name] = str(error)
    for rate, targets in by_rate.items():
        with contextlib.ExitStack() as open_shards:
            sinks = {}
            for target, embedding in targets:
                name = target.config.name
                writer = store.writer(name, job.dataset, target.key, job.settings.dtype, dict(target.provenance))
                sinks[name] = Sink(embedding, open_shards.enter_context(writer))
            embed_clips(job.clips, rate, list(sinks.values()))
        failed |= {name: sink.failed for name, sink in sinks.items() if sink.failed is not None}
    return failed


@lru_cache(maxsize=32)
def _embedding(config: str, weights: Path | None, device: str, settings: str):
    """An embedding, built once a process."""
    import torch

    from benchmark.embeddings.registry import build_embedding
    from benchmark.embeddings.running import in_precision, prepare
    from benchmark.engine.batches import choose_batch
    from benchmark.engine.precision import use_fast_float32_matmul

    torch.set_num_threads(1)
    use_fast_float32_matmul()
    asked = ExtractParams.model_validate_json(settings)
    described = in_precision(EmbeddingConfig.model_validate_json(config), asked.precision)
    embedding = build_embedding(described, weights, device)
    prepare(embedding, described, asked.precision, asked.compile)
    choose_batch(embedding, described, asked.batch_s)
    return embedding
