"""YAML files to start from."""

import re
from pathlib import Path

from benchmark.errors import UserError

_TEMPLATE = """\
name: {name}
title: {title}
domain: environment            # speech, music or environment
kind: multiclass
dataset: {{{dataset}}}
{label}folds: {{kind: stratified, k: 5}}   # grouped: keeps a `group` (speaker, track, site) in one fold
metrics: [accuracy]             # the first is the primary one
"""


def new_task(root: Path, name: str, folder: Path | None, csv: Path | None) -> Path:
    """Write tasks/<name>.yaml over a folder of sounds or a table.

    Raises:
        UserError: the name cannot be a file name, the file is there, or both or neither source is given.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise UserError(f"leveret new task: {name!r}: a name is made of a-z, 0-9, '.', '_' and '-', and is no path")
    if folder is not None and csv is not None:
        raise UserError("leveret new task: give --folder or --csv, not both")
    path = root / "tasks" / f"{name}.yaml"
    if path.exists():
        raise UserError(f"{path}: is there already; choose another name or edit it")
    for given, kind in ((folder, "folder"), (csv, "file")):
        if given is not None and not given.exists():
            raise UserError(f"leveret new task: {given}: no such {kind}")
    if csv is not None:
        dataset, label = f"csv: {csv.resolve()}, path: file", "label: label                   # a column of the table\n"
    else:
        dataset, label = f"folder: {(folder or Path('/path/to/sounds')).resolve()}", ""
    title = name.replace("-", " ").capitalize()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEMPLATE.format(name=name, title=title, dataset=dataset, label=label), encoding="utf-8")
    return path
