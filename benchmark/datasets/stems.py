"""Stems that belong to a mixture: files beside it, or the stems of a multitrack summed by instrument."""

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import yaml

from benchmark.config.schema_dataset import SiblingsConfig, SubmixesConfig
from benchmark.datasets.templates import fill
from benchmark.datasets.tree import Tree
from benchmark.errors import UserError


def sibling_fields(
    path: str, known: Mapping[str, Any], config: SiblingsConfig, tree: Tree, where: str
) -> dict[str, str]:
    """Fields with the files beside the sound at `path`, in the order of their names.

    Raises:
        UserError: there are more or fewer files than fields.
    """
    wanted, *unwanted = (fill(glob, known, f"{where}: siblings") for glob in [config.glob, *config.exclude])
    found = [
        file
        for file in tree.beside(path)
        if fnmatchcase(name := PurePosixPath(file).name, wanted)
        and not any(fnmatchcase(name, glob) for glob in unwanted)
    ]
    if len(found) != len(config.fields):
        raise UserError(
            f"{where}: {path}: {len(found)} files beside it instead of {len(config.fields)}; mend `siblings`"
        )
    return dict(zip(config.fields, found, strict=True))


def submix_fields(known: Mapping[str, Any], config: SubmixesConfig, tree: Tree, where: str) -> dict[str, Any]:
    """Fields `stem_<source>`, lists of the stems that make up each source of a Slakh2100 track, and its `uuid`.

    A stem that the metadata name but that was not rendered has no file, and is left out; a source without any stem gets
    no field.

    Raises:
        UserError: the metadata are missing or not as Slakh's.
    """
    file = fill(config.file, known, f"{where}: submixes.file")
    try:
        about = yaml.safe_load((tree.root / file).read_text("utf-8"))
        stems, uuid = about["stems"], str(about.get("UUID", ""))
        programs = {name: "drums" if stem["is_drum"] else int(stem["program_num"]) for name, stem in stems.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: {file}: cannot be read as metadata of stems ({type(error).__name__})") from None
    sources: dict[str, list[str]] = defaultdict(list)
    for stem, program in sorted(programs.items()):
        path = fill(config.path, {**known, "stem": stem}, f"{where}: submixes.path")
        source = _source(program, config.sources)
        if source is not None and path in tree:
            sources[f"stem_{source}"].append(path)
    return {"uuid": uuid, **sources}


def _source(program: int | str, sources: Mapping[str, str]) -> str | None:
    for name, what in sources.items():
        first, _, last = what.partition("-")
        if what == program or (last and isinstance(program, int) and int(first) <= program <= int(last)):
            return name
    return next((name for name, what in sources.items() if what == "rest"), None)
