"""One run of a strategy other than frozen: a network fine-tuned on a task, all folds, from sounds to scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_trainable
from benchmark.engine.items import TaskItems
from benchmark.engine.keep import keep_run
from benchmark.engine.network_inputs import NetworkInputs, network_inputs
from benchmark.errors import ClipError
from benchmark.metrics.classification import METRICS, confusion_matrix, majority_rate, predict
from benchmark.metrics.folds import Split, downsample
from benchmark.metrics.intervals import bootstrap_interval
from benchmark.metrics.registry import chance_level
from benchmark.metrics.summary import summarise
from benchmark.probes.control import shuffle
from benchmark.probes.weights import class_weights
from benchmark.report.predictions import answers_table
from benchmark.training.settings import TrainSettings
from benchmark.training.transfer import Outcome, transfer

_VERSIONED = ("numpy", "scipy", "torch")

Answers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FinetuneJob:
    """A run for another process.

    Attributes:
        config: the embedding.
        weights: file of its weights; None from scratch.
        items: of the task.
        splits: parts of each fold, as indices into the items.
        strategy: one of `benchmark.training.transfer.STRATEGIES`.
        settings: of the training.
        limit: inputs of a clip, at most.
        levels, metrics: what is scored, and by what; the first metric is the primary one.
        balance: of the training parts.
        control: whether shuffled labels are scored too.
        seed: of everything random.
        device: where the network runs.
        max_lost: largest part of the clips that may be unreadable.
        where: the task's file.
        record: what the record says besides.
        out: folder of the record.
    """

    config: EmbeddingConfig
    weights: Path | None
    items: TaskItems
    splits: tuple[Split, ...]
    strategy: str
    settings: TrainSettings
    limit: int | None
    levels: tuple[str, ...]
    metrics: tuple[str, ...]
    balance: str
    control: bool
    seed: int
    device: str
    max_lost: float
    where: str
    record: Mapping[str, Any]
    out: Path


def finetune_job(job: FinetuneJob) -> None:
    """Compute one run and write its record.

    Raises:
        ClipError: too many of its clips could not be read.
    """
    torch.set_num_threads(1)
    started = perf_counter()
    data = network_inputs(build_trainable(job.config, job.weights), job.items.clips, job.limit)
    lost = [{"id": job.items.ids[index], "reason": why} for index, why in sorted(data.lost.items())]
    if len(lost) > job.max_lost * len(job.items.clips):
        raise ClipError(
            f"{job.where}: {len(lost)} of {len(job.items.clips)} clips cannot be read, more than max_lost = "
            f"{job.max_lost:g} allows; mend or remove them (first: {lost[0]['id']}: {lost[0]['reason']})"
        )
    fields, answers = score_strategy(job, data)
    record = {
        **job.record,
        **fields,
        "clips": {"used": len(job.items.clips) - len(lost), "lost": lost},
        "provenance": {
            "versions": {name: metadata.version(name) for name in _VERSIONED},
            "device": job.device,
            "seconds": {"probe": round(perf_counter() - started, 3)},
        },
    }
    header = {
        "kind": job.items.kind, "metrics": list(job.metrics), "classes": job.items.classes, "slots": [], "values": None,
    }  # fmt: skip
    table = answers_table(job.items.ids, job.items.labels, {level: answers[level] for level in job.levels})
    keep_run(record, job.out, table, header)


def score_strategy(job: FinetuneJob, data: NetworkInputs) -> tuple[dict[str, Any], dict[str, Answers]]:
    """The scored fields of the run's record, and what was answered at each level."""
    here = np.setdiff1d(np.arange(len(job.items.clips)), list(data.lost))
    splits = [Split(*(np.intersect1d(part, here) for part in (s.train, s.valid, s.test))) for s in job.splits]
    labels = job.items.labels
    balanced, outcomes = _trained(job, data, labels, splits)
    answers = _answers(data, splits, outcomes)
    scores = _scores(job, answers, labels)
    for name, score in scores.get("file", {}).items():
        clips, posterior, fold = _joined(answers["file"])
        groups = np.array(job.items.groups)[clips]
        ends = bootstrap_interval(name, labels[clips], posterior, fold, groups, job.seed)
        score["interval"] = None if score["mean"] is None else ends
    shuffled = None
    if job.control:
        others = shuffle(labels, splits, None, job.seed).labels
        shuffled = _scores(job, _answers(data, splits, _trained(job, data, others, splits)[1]), others)
    count = len(job.items.classes)
    fields = {
        "scores": scores,
        "shuffled": shuffled,
        "chance": chance_level(job.metrics[0], labels, splits, count),
        "majority": majority_rate(labels, splits) if job.metrics[0] == "accuracy" else None,
        "confusion": {
            level: sum(confusion_matrix(labels[clip], predict(p), count) for clip, p in answers[level]).tolist()
            for level in job.levels
        },
        "folds": [
            {
                "train": len(split.train),
                "valid": len(split.valid),
                "test": len(split.test),
                "chosen": {
                    "epoch": outcome.fitted.best_epoch,
                    "epochs": outcome.fitted.epochs,
                    "valid": outcome.fitted.valid,
                },
            }
            for split, outcome in zip(balanced, outcomes, strict=True)
        ],
    }
    return fields, answers


def _trained(
    job: FinetuneJob, data: NetworkInputs, labels: np.ndarray, splits: list[Split]
) -> tuple[list[Split], list[Outcome]]:
    """Parts of each fold after balancing, and what each came out with."""
    if job.balance == "downsample":
        splits = [replace(s, train=downsample(labels, job.items.ids, job.seed, s.train)) for s in splits]
    count = len(job.items.classes)
    outcomes = transfer(
        build_trainable(job.config, job.weights),
        data.inputs,
        labels[data.clip],
        [
            Split(data.rows(s.train, job.settings.frames_per_clip), data.rows(s.valid), data.rows(s.test))
            for s in splits
        ],
        job.strategy,
        count,
        job.settings,
        job.seed,
        job.device,
        (lambda part: class_weights(part, count)) if job.balance == "class_weight" else None,
    )
    return splits, outcomes


def _answers(data: NetworkInputs, splits: list[Split], outcomes: list[Outcome]) -> dict[str, Answers]:
    """For each level and fold the clips (m,) of what was answered and their posteriors (m, C); of a file the mean.

    Posteriors are rounded to float32, as they are kept.
    """
    frames = [(data.clip[data.rows(s.test)], o.posterior) for s, o in zip(splits, outcomes, strict=True)]
    files = []
    for clip, posterior in frames:
        clips, first, counts = np.unique(clip, return_index=True, return_counts=True)
        files.append((clips, np.add.reduceat(posterior, first, axis=0) / counts[:, None]))
    return {
        level: [(clip, posterior.astype(np.float32)) for clip, posterior in folds]
        for level, folds in (("frame", frames), ("file", files))
    }


def _joined(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips, posteriors and fold of all answers."""
    fold = np.repeat(np.arange(len(answers)), [len(clip) for clip, _ in answers])
    return np.concatenate([clip for clip, _ in answers]), np.concatenate([p for _, p in answers]), fold


def _scores(job: FinetuneJob, answers: dict[str, Answers], labels: np.ndarray) -> dict[str, dict[str, dict[str, Any]]]:
    """Level -> metric -> scores of the folds with mean and spread; a score without meaning is null."""
    scored: dict[str, dict[str, dict[str, Any]]] = {}
    for level in job.levels:
        scored[level] = {}
        for name in job.metrics:
            folds = [METRICS[name].function(labels[clip], posterior) for clip, posterior in answers[level]]
            summary = summarise(folds)
            values = [float(value) if np.isfinite(value) else None for value in folds]
            scored[level][name] = {"folds": values, "mean": summary.mean, "std": summary.std}
    return scored
