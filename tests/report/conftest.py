"""Made-up records: scores drawn by seed, so that what is shown can be checked against what went in."""

import hashlib

import numpy as np
import pytest

from benchmark.report.records import RunRecord

INGREDIENTS = ("audio", "annotation", "task", "embedding", "weights", "extract_code", "probe", "probe_code", "seed")


def digest(*parts) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def score(values) -> dict:
    values = [float(value) for value in values]
    return {
        "folds": values,
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


def make_record(
    task="speakers",
    embedding="ge2e",
    strategy="frozen",
    probe="logistic",
    *,
    values=None,
    levels=("file",),
    classes=2,
    k=5,
    **changes,
) -> RunRecord:
    seed = int(digest(task, embedding, strategy, probe), 16) % 2**32
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.4, 0.97)
    chance = 1 / classes

    def draw(centre):
        return np.clip(rng.normal(centre, 0.03, k), 0, 1)

    names = [f"class {i}" for i in range(classes)]
    fields = {
        "schema": 1,
        "task": task,
        "title": task.replace("-", " ").capitalize(),
        "domain": "speech",
        "kind": "multiclass",
        "embedding": embedding,
        "embedding_title": embedding.upper(),
        "strategy": strategy,
        "probe": probe,
        "primary": "accuracy",
        "scores": {
            level: {
                "accuracy": score(values if values is not None else draw(base)),
                "macro_f1": score(draw(base - 0.02)),
            }
            for level in levels
        },
        "shuffled": {level: {"accuracy": score(draw(chance))} for level in levels},
        "chance": chance,
        "majority": chance,
        "classes": names,
        "confusion": {level: rng.integers(0, 60, (classes, classes)).tolist() for level in levels},
        "clips": {"used": 300, "lost": []},
        "folds": [{"train": 240, "valid": 30, "test": 30, "chosen": {"C": 1.0}} for _ in range(k)],
        "reference": None,
        "key": digest("key", task, embedding, strategy, probe),
        "ingredients": {name: digest(name, task, embedding) for name in INGREDIENTS},
        "provenance": {"versions": {"numpy": "2.0"}, "device": "cpu", "seconds": {"probe": 1.25}},
    }
    return RunRecord.model_validate({**fields, **changes})


def make_records(tasks=3, embeddings=3, **settings) -> list[RunRecord]:
    """Tasks in turn of the three domains, under embeddings whose names sort as they are made."""
    domains = ("speech", "music", "environment")
    return [
        make_record(f"task-{i:02d}", f"emb-{j:02d}", domain=domains[i % 3], classes=2 + i % 5, **settings)
        for i in range(tasks)
        for j in range(embeddings)
    ]


@pytest.fixture
def record():
    """Factory of one record."""
    return make_record


@pytest.fixture
def records():
    """Factory of a matrix of records."""
    return make_records
