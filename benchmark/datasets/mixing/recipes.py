"""What a published list says of each mixture: which files, how loud, and under which name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config.schema_dataset import MakeConfig
from benchmark.datasets.tables import read_table
from benchmark.errors import UserError

# Both recipes start from speech at this rate, in Hz.
RATE = 16000


@dataclass(frozen=True)
class Mixture:
    """One line of a list.

    Attributes:
        id: name of the files to be written.
        paths: the speakers' files, below the folder of the audio.
        gains: linear factors of the speakers.
        noise: file of the noise and its linear factor, or None.
        peak: of the loudest of all signals after they are scaled together; None where nothing is scaled.
    """

    id: str
    paths: list[str]
    gains: list[float]
    noise: tuple[str, float] | None = None
    peak: float | None = None


def wsj0_mix(config: MakeConfig, root: Path, file: Path) -> Iterator[Mixture]:
    """Mixtures of wsj0-2mix (Hershey et al., ICASSP 2016): `path dB path dB` a line, relative to the active speech level.

    An utterance is divided by the square root of its active level (ITU-T P.56, from a published table), and raised by
    the list's decibels; all signals of a mixture are then divided by one factor, so that none exceeds 0.9.
    """
    levels = {
        row["utterance"]: float(row["level"])
        for table in config.levels
        for row in read_table(root / table, ["utterance", "level"], "space")
    }
    for row in read_table(file, ["path1", "db1", "path2", "db2"], "space"):
        paths, decibels = [row["path1"], row["path2"]], [row["db1"], row["db2"]]
        names = [Path(path).stem for path in paths]
        lacking = next((name for name in names if name not in levels), None)
        if lacking is not None:
            raise UserError(f"{file}: {lacking!r} is in no table of levels ({', '.join(config.levels)}); mend `make`")
        gains = [10 ** (float(db) / 20) / levels[name] ** 0.5 for name, db in zip(names, decibels, strict=True)]
        parts = [f"{name}_{float(db):.8g}" for name, db in zip(names, decibels, strict=True)]
        yield Mixture("_".join(parts), paths, gains, peak=0.9)


def librimix(config: MakeConfig, root: Path, file: Path) -> Iterator[Mixture]:
    """Mixtures of LibriMix (Cosentino et al., arXiv 2005.11262): a table of paths and linear gains."""
    for row in read_table(file):
        noise = None
        if config.noise is not None:
            noise = (f"{config.noise}/{row['noise_path']}", float(row["noise_gain"]))
        speakers = range(1, 1 + sum(name.endswith("_path") and name.startswith("source_") for name in row))
        paths = [_cell(row, f"source_{i}_path", file) for i in speakers]
        yield Mixture(row["mixture_ID"], paths, [float(row[f"source_{i}_gain"]) for i in speakers], noise)


def _cell(row: Mapping[str, Any], name: str, file: Path) -> str:
    if not row.get(name):
        raise UserError(f"{file}: has no {name}; is it LibriMix's list?")
    return str(row[name])


Recipe = Callable[[MakeConfig, Path, Path], Iterator[Mixture]]
RECIPES: dict[str, Recipe] = {"wsj0-mix": wsj0_mix, "librimix": librimix}
