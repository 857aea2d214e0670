"""BibTeX of the datasets, tasks and embeddings that a result rests on."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from benchmark.config.catalogue import Catalogue
from benchmark.errors import UserError

_KEY = re.compile(r"@\w+\{\s*([^,\s]+)")
_YEAR = re.compile(r"\b(19|20)\d\d\b")
_SPECIAL = {c: f"\\{c}" for c in "&%$#_"}


def cite(root: Path, names: Sequence[str]) -> str:
    """BibTeX entries of what `names` are: each source once, in order, that of Leveret last.

    A task stands for its dataset and the paper whose numbers are shown beside ours. Where a YAML holds no BibTeX, its
    citation becomes an entry of the kind `misc`.

    Args:
        names: names or globs of tasks, datasets and embeddings.

    Raises:
        UserError: a name is nothing in the catalogue.
    """
    catalogue = Catalogue.read(root)
    entries: dict[str, str] = {}
    for pattern in names:
        tasks = _matching(catalogue.tasks, pattern)
        datasets = _matching(catalogue.datasets, pattern)
        embeddings = _matching(catalogue.embeddings, pattern)
        if not tasks and not datasets and not embeddings:
            raise UserError(
                f"leveret cite: {pattern!r} is no task, dataset or embedding; `leveret list` shows what there is"
            )
        for name in tasks:
            task = catalogue.tasks[name]
            config = catalogue.dataset_of(task)
            _add(entries, config.name, config.bibtex, config.citation, config.homepage)
            if task.reference is not None and task.reference.value is not None:
                _add(entries, f"{name}-reference", None, [task.reference.paper], None)
        for name in datasets:
            config = catalogue.datasets[name]
            _add(entries, name, config.bibtex, config.citation, config.homepage)
        for name in embeddings:
            _add(entries, name, None, catalogue.embeddings[name].citation, catalogue.embeddings[name].homepage)
    entries["leveret"] = _entry(
        "software",
        "leveret",
        {"title": "{Leveret}: a reproducible benchmark of audio representations", "version": _version()},
    )
    return "\n".join(entries.values())


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _add(
    entries: dict[str, str], name: str, bibtex: str | None, citations: Sequence[str], homepage: str | None
) -> None:
    if bibtex:
        entries.setdefault(_KEY.search(bibtex)[1] if _KEY.search(bibtex) else name, bibtex.strip() + "\n")
        return
    for number, text in enumerate(citations, 1):
        if any(_escaped(text) in entry for entry in entries.values()):
            continue
        key = name if len(citations) == 1 else f"{name}-{number}"
        while key in entries:
            key += "-also"
        years = [match[0] for match in _YEAR.finditer(text)]
        fields = {"note": _escaped(text)}
        if years:
            fields["year"] = years[-1]
        if homepage and number == 1:
            fields["url"] = homepage
        entries[key] = _entry("misc", key, fields)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"


def _escaped(text: str) -> str:
    """The text as LaTeX takes it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _version() -> str:
    try:
        return metadata.version("leveret")
    except metadata.PackageNotFoundError:
        return "from source"
