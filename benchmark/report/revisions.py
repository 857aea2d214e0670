"""Leaderboards from files and from git revisions."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.report.compare import KEY, Comparison, compare
from benchmark.report.leaderboard import IDENTITY

LEADERBOARD = "results/leaderboard.csv"
_NUMBERS = ("mean", "std", "folds", "ci_low", "ci_high", "clips")
_NEEDED = [*KEY, "mean", "std", "folds"]


def compare_revisions(root: Path, old: str = "HEAD", new: str | None = None) -> Comparison:
    """Compare two states of the leaderboard of the project in `root`.

    Args:
        old, new: each the path of a CSV, or a git revision; `new` is the project's own file by default.

    Raises:
        UserError: neither a file nor a revision with a leaderboard, or not a leaderboard.
    """
    new = new or str(root / LEADERBOARD)
    return compare(_state(root, old), _state(root, new), old, new)


def read_leaderboard(text: str, name: str) -> pd.DataFrame:
    """Read the text of a leaderboard.csv; columns that an older version did not have are left out.

    Raises:
        UserError: `name` is no leaderboard.
    """
    mend = "run `leveret report` to write it again"
    try:
        # Names such as "null" are names; only the numbers may be missing.
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        missing = [column for column in _NEEDED if column not in table.columns]
        if missing:
            raise UserError(f"{name}: {missing[0]}: the column is missing; {mend}")
        for column in _NUMBERS:
            if column in table.columns:
                table[column] = pd.to_numeric(table[column].replace("", np.nan))
        table["folds"] = table["folds"].fillna(0)
        for scores in table["scores"] if "scores" in table.columns else ():
            [float(score) for score in scores.split() if score != "-"]
    except (ValueError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{name}: not a leaderboard ({error}); {mend}") from None
    if table.duplicated(KEY).any():
        row = " ".join(table.loc[table.duplicated(KEY), IDENTITY].iloc[0])
        raise UserError(f"{name}: {row}: the row is there twice; {mend}")
    return table


def _state(root: Path, name: str) -> pd.DataFrame:
    if Path(name).is_file():
        return read_leaderboard(Path(name).read_text(encoding="utf-8", errors="replace"), name)
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        raise UserError(f"{name}: neither a file nor a git revision; give one of the two")
    text = _git(root, "show", f"{commit.strip()}:./{LEADERBOARD}")
    if text is None:
        raise UserError(f"{name}: {LEADERBOARD}: not in that revision; commit it there, or give a path")
    return read_leaderboard(text, f"{name}:{LEADERBOARD}")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
