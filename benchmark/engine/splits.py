"""The folds of a task, from its YAML and its items."""

from benchmark.config.schema_task import TaskConfig
from benchmark.engine.items import TaskItems
from benchmark.errors import UserError
from benchmark.metrics.folds import Split, check_splits, make_splits


def task_splits(task: TaskConfig, items: TaskItems, where: str) -> list[Split]:
    """Training, validation and test parts of each fold, as indices into `items`; no group crosses them.

    Raises:
        UserError: there are too few clips or groups for so many folds, or official parts that share a group; opened by
            `where`, the task's file.
    """
    folds = task.folds
    if items.kind == "verification" and folds.kind == "stratified":
        raise UserError(
            f"{where}: folds.kind: stratified divides identities; use grouped, official or repeated_holdout"
        )
    if folds.kind == "official" and not any(items.parts):
        raise UserError(f"{where}: folds.kind: official, but the data name no part or fold; use grouped or stratified")
    try:
        splits = make_splits(
            items.ids, items.strata, items.groups, folds.kind, folds.k, folds.seed, folds.valid, folds.test, items.parts
        )
        check_splits(splits, None if folds.kind == "stratified" else items.groups)
    except UserError as error:
        raise UserError(f"{where}: folds: {error}") from None
    except ValueError as error:
        raise UserError(f"{where}: folds: {error}; keep what belongs together in one part") from None
    return splits
