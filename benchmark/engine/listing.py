"""What a project folder holds, as rows for `leveret list`."""

from pathlib import Path
from typing import Any

from benchmark.config.catalogue import Catalogue, in_profile, read_params
from benchmark.config.schema_task import TaskConfig
from benchmark.embeddings.costs import known
from benchmark.embeddings.weights import is_here
from benchmark.engine.dataset_page import dataset_size, human_size
from benchmark.errors import UserError

KINDS = ("tasks", "datasets", "embeddings")


def list_catalogue(root: Path, what: str = "all") -> dict[str, list[dict[str, Any]]]:
    """Rows by kind; `what` is one of `KINDS`, or `all`.

    Raises:
        UserError: `what` is unknown, or a YAML is wrong.
    """
    if what not in (*KINDS, "all"):
        raise UserError(f"leveret list: {what!r} is unknown; one of {', '.join(KINDS)}, or nothing for all")
    params, catalogue = read_params(root), Catalogue.read(root)
    makers = {"tasks": _tasks, "datasets": _datasets, "embeddings": _embeddings}
    return {kind: makers[kind](catalogue, params.profile) for kind in KINDS if what in (kind, "all")}


def _tasks(catalogue: Catalogue, profile: str) -> list[dict[str, Any]]:
    rows = []
    for task in catalogue.tasks.values():
        dataset = catalogue.dataset_of(task)
        rows.append(
            {
                "name": task.name,
                "title": task.title,
                "domain": task.domain,
                "kind": task.kind,
                "dataset": dataset.name,
                "access": dataset.access,
                "verified": dataset.verified,
                "metric": task.metrics[0],
                "folds": "official" if task.folds.kind == "official" else f"{task.folds.k} {task.folds.kind}",
                "probes": ", ".join(task.probes) if task.kind != "separation" else "",
                "reference": _reference(task),
                "in profile": in_profile(task, profile),
            }
        )
    return rows


def _reference(task: TaskConfig) -> str:
    """The number of the literature that stands beside ours, or why there is none."""
    found = task.reference
    if found is None:
        return ""
    if found.value is None:
        return found.paper
    return f"{found.value:g} ({found.system or found.paper}{'' if found.verified else ', unverified'})"


def _datasets(catalogue: Catalogue, profile: str) -> list[dict[str, Any]]:
    users: dict[str, list[str]] = {}
    configs = dict(catalogue.datasets)
    for task in catalogue.tasks.values():
        config = catalogue.dataset_of(task)
        configs[config.name] = config
        users.setdefault(config.name, []).append(task.name)
    return [
        {
            "name": name,
            "title": config.title,
            "source": config.source_kind,
            "access": config.access,
            "size": human_size(dataset_size(config)),
            "hours": config.size.hours,
            "licence": config.licence or "",
            "verified": config.verified,
            "tasks": ", ".join(users.get(name, [])),
        }
        for name, config in sorted(configs.items())
    ]


def _embeddings(catalogue: Catalogue, profile: str) -> list[dict[str, Any]]:
    rows = []
    for config in catalogue.embeddings.values():
        cost = known(config)
        rows.append(
            {
                "name": config.name,
                "title": config.title,
                "family": config.family,
                "dim": config.dim,
                "rate (Hz)": config.sample_rate,
                "hop (s)": config.hop,
                "parameters": cost and cost.parameters,
                "MACs/s": cost and cost.macs_per_s,
                "licence": config.licence or (config.weights.licence if config.weights else None) or "",
                "weights": _weights(config),
                "in profile": in_profile(config, profile),
                "citation": "; ".join(config.citation),
            }
        )
    return rows


def _weights(config: Any) -> str:
    if config.weights is None:
        return "needs none"
    here = "here" if is_here(config.weights) else "not here yet"
    return here if config.weights.verified else f"{here}, unverified"
