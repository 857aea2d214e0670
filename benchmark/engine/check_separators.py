"""What can be said of separators before any of them is built: `leveret check` takes no time for that."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_separator import FAMILIES, WITHOUT_SPECTRA, SeparatorConfig
from benchmark.errors import UserError


def separator_problems(catalogue: Catalogue) -> list[UserError]:
    """What is wrong with the separators of a project, a line each."""
    return [problem for config in catalogue.separators.values() for problem in _problems(config, catalogue)]


def _problems(config: SeparatorConfig, catalogue: Catalogue) -> Iterator[UserError]:
    where = catalogue.root / "separators" / f"{config.name}.yaml"
    tasks = sorted(name for name, task in catalogue.tasks.items() if task.kind == "separation")
    known = f"separation tasks: {', '.join(tasks) or 'none'}"
    if config.family not in FAMILIES:
        yield UserError(f"{where}: family: {config.family!r} is unknown; known: {', '.join(FAMILIES)}")
    elif config.stft is None and config.family not in WITHOUT_SPECTRA:
        yield UserError(f"{where}: stft: missing; {config.family} needs it, such as {{size: 256, hop: 64}}")
    for pattern in config.tasks:
        if pattern != "*" and not any(fnmatchcase(task, pattern) for task in tasks):
            yield UserError(f"{where}: tasks: {pattern!r} fits no separation task; {known}")
    if config.train_on is not None and config.train_on not in tasks:
        yield UserError(f"{where}: train_on: {config.train_on!r} is no separation task; {known}")
    for name in config.seen:
        if name not in catalogue.datasets:
            yield UserError(f"{where}: seen: {name!r} is no dataset; `leveret list datasets` shows what there is")
    try:
        config.shrunk()
    except ValueError as error:
        text = str(error).splitlines()[-1].strip()
        yield UserError(f"{where}: smoke: {text.removeprefix('smoke: ')}")
