"""A run's record and its answers on disk, the record last: it says that all is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmark.report.predictions import describe, predictions_path, write_predictions
from benchmark.report.records import RunRecord, write_record


def predictions_folder(records: Path) -> Path:
    """Where the answers of the runs whose records are in a folder (results/runs/probe) are: results/predictions."""
    return records.parents[1] / "predictions"


def keep_run(record: Mapping[str, Any], folder: Path, answers: pa.Table, header: Mapping[str, Any]) -> None:
    """Write the answers of a run and then its record into `folder`."""
    made = RunRecord.model_validate(record)
    path = predictions_path(predictions_folder(folder), *made.identity)
    write_predictions(path, answers, {**header, "key": made.key, "identity": list(made.identity)})
    write_record(made, folder)


def has_answers(path: Path, key: str) -> bool:
    """Whether the answers of the run with this content key are at `path`."""
    try:
        return describe(path)["key"] == key
    except (FileNotFoundError, ValueError, KeyError):
        return False
