"""The folds of a task, from its YAML and its items."""

from benchmark.config.schema_task import TaskConfig
from benchmark.engine.items import TaskItems
from benchmark.errors import UserError
from benchmark.metrics.folds import Split, check_splits, make_splits


def task_splits(task: TaskConfig, items: TaskItems, where: str) -> list[Split]:
    """Training, validation and test parts of each fold, as indices into `items`; no group crosses them.

    Raises:
        UserError: there are too few clips or groups for so many folds; opened by `where`, the task's file.
    """
    try:
        splits = make_splits(
            items.ids,
            items.labels,
            items.groups,
            kind=task.folds.kind,
            k=task.folds.k,
            seed=task.folds.seed,
            valid=task.folds.valid,
            test=task.folds.test,
            parts=items.parts,
            classes=items.classes,
        )
        check_splits(splits, items.groups)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return splits
