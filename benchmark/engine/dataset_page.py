"""The catalogue's datasets as a page of Markdown: `leveret list datasets --markdown`, kept as docs/datasets.md."""

from collections.abc import Iterable
from pathlib import Path

from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.config.schema_task import TaskConfig

_HEAD = """# Datasets

This page is made by `leveret list datasets --markdown`; a test sees that it is up to date.

`access`: *open* comes by itself; *form* and *request* mean that someone lets you in first; *paid* that it is sold;
*regenerate* that lists are published and sounds must be fetched one by one; *private* and *dead* that it is no longer given
out. *verified* says no where the layout, the counts or the addresses in the description are partly guesses, or may be out of
date: what differs is then a warning of `leveret check --data` instead of an error. What was fetched without a known checksum
is noted in `ledger.json` of the data folder. Sizes are those of the download, as far as they are known."""

_REFERENCES = """One number a task, as its paper prints it; the task's YAML has more, and its page in the report shows all of them
beside ours. Where there is none, the last column says why."""

_COLUMNS = ("name", "what", "access", "size", "hours", "licence", "verified", "tasks")


def dataset_size(config: DatasetConfig) -> int | None:
    """Bytes of the download as the description says, or as its sources add up; None where that is not known."""
    if config.size.bytes is not None:
        return config.size.bytes
    pieces = [piece for source in config.sources or [] for piece in (source.parts or [source])]
    known = [piece.bytes for piece in pieces if piece.bytes is not None]
    return sum(known) if pieces and len(known) == len(pieces) else None


def human_size(count: int | None) -> str:
    """Bytes for people: `2.4 GB`."""
    if count is None:
        return ""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1000:.3g} kB"


def dataset_page(root: Path) -> str:
    """Everything that the catalogue in `root` says of its datasets, as Markdown."""
    catalogue = Catalogue.read(root)
    tasks: dict[str, list[str]] = {}
    for task in catalogue.tasks.values():
        tasks.setdefault(catalogue.dataset_of(task).name, []).append(task.name)
    asked = [task for task in catalogue.tasks.values() if catalogue.dataset_of(task).rendered is None]
    real = [config for config in catalogue.datasets.values() if config.rendered is None]
    rendered = [config for config in catalogue.datasets.values() if config.rendered is not None]
    by_hand = [
        f"**{config.name}**: {_plain(source.manual).rstrip('.')}. It goes to `data/manual/{config.name}/{source.file}`."
        for config in real
        for source in config.sources or []
        if source.manual
    ]
    notes = [f"**{config.name}**: {_plain(config.note)}" for config in real if config.note]
    sections = [
        _HEAD,
        f"## Of the literature ({len(real)})",
        _table(real, tasks),
        "## Fetched by hand",
        "`leveret download` says the same, and takes the files once they are there; `leveret check --data` then compares them.",
        *by_hand,
        "## What to know",
        *notes,
        f"## Numbers of the literature ({sum(_number(task) != '' for task in asked)} of {len(asked)} tasks)",
        _REFERENCES,
        _references(asked),
        f"## Made here ({len(rendered)})",
        "Rendered from scores, a soundfont, a speech synthesiser and physical models by `leveret download`, the same bytes each time.",
        _table(rendered, tasks),
    ]
    return "\n\n".join(sections) + "\n"


def _table(configs: Iterable[DatasetConfig], tasks: dict[str, list[str]]) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    for config in configs:
        name = f"[{config.name}]({config.homepage})" if config.homepage else config.name
        hours = "" if config.size.hours is None else f"{config.size.hours:g}"
        verified = "yes" if config.verified else "no"
        cells = [
            name,
            config.title,
            config.access,
            human_size(dataset_size(config)),
            hours,
            config.licence or "",
            verified,
            ", ".join(tasks.get(config.name, [])),
        ]
        lines.append("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _references(tasks: Iterable[TaskConfig]) -> str:
    lines = ["| task | number | metric | whose |", "|---|---|---|---|"]
    for task in tasks:
        found = task.reference
        whose = f"{found.system}: {found.paper}" if found and found.system else found.paper if found else ""
        cells = [task.name, _number(task), found.metric if found else "", whose]
        lines.append("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _number(task: TaskConfig) -> str:
    found = task.reference
    if found is None or found.value is None:
        return ""
    return (
        f"{found.value:g}"
        + ("" if found.std is None else f" ± {found.std:g}")
        + ("" if found.verified else " (unverified)")
    )


def _plain(text: str | None) -> str:
    """The text on one line."""
    return " ".join((text or "").split())
