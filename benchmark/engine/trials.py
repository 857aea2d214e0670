"""The list of pairs that a verification task compares."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.config.schema_task import TaskConfig
from benchmark.errors import UserError


def read_trials(
    task: TaskConfig, ids: Sequence[str], labels: np.ndarray, where: str, folder: Path | None
) -> np.ndarray | None:
    """The trials of a task as (m, 3) int64: 1 for the same identity or 0, and the two clips' places in `ids`.

    Args:
        labels: (n,) identities, which the list must agree with.
        where: the task's file, which opens the message of an error.
        folder: the dataset's folder.

    Raises:
        UserError: the list is missing, has a line that is no trial, names an unknown clip, or contradicts the identities.
    """
    if task.trials is None:
        return None
    path = (folder or Path()) / task.trials
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: trials: {path} cannot be read ({error}); mend the path") from None
    place = {clip: i for i, clip in enumerate(ids)}
    trials = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in ("0", "1"):
            raise UserError(f"{where}: trials: {path}: line {number}: {line!r} is not `0|1 id id`; mend the line")
        unknown = [word for word in words[1:] if word not in place]
        if unknown:
            raise UserError(f"{where}: trials: {path}: line {number}: no clip {unknown[0]!r}; write the ids of clips")
        first, second = (place[word] for word in words[1:])
        if (labels[first] == labels[second]) != (words[0] == "1"):
            raise UserError(
                f"{where}: trials: {path}: line {number}: contradicts the label of its clips; mend the list or `label`"
            )
        trials.append((int(words[0]), first, second))
    return np.array(trials, np.int64).reshape(-1, 3)
