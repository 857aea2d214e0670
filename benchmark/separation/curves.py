"""Learning curves, written while a network learns: to TensorBoard or DVCLive, by choice."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmark.errors import UserError

Curves = Callable[[int, Mapping[str, float]], None]


@contextlib.contextmanager
def curve_writer(kind: str, folder: Path) -> Iterator[Curves | None]:
    """What takes (step, name -> value) and writes it below `folder`; nothing for the kind `none`.

    Args:
        kind: `none`, `tensorboard` (event files, `tensorboard --logdir`) or `dvclive` (tables that `dvc plots` draws).

    Raises:
        UserError: the package is not installed.
    """
    if kind == "none":
        yield None
        return
    try:
        if kind == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter
        else:
            from dvclive import Live
    except ImportError:
        raise UserError(f"params.yaml: engine.curves: {kind} is not installed; pip install 'leveret[curves]'") from None
    if kind == "tensorboard":
        with SummaryWriter(str(folder)) as writer:

            def to_tensorboard(step: int, values: Mapping[str, float]) -> None:
                for name, value in values.items():
                    writer.add_scalar(name, value, step)
                writer.flush()

            yield to_tensorboard
        return
    # A folder of tables and nothing else: no experiment, no commit, no report.
    with Live(str(folder), resume=folder.is_dir(), report=None, save_dvc_exp=False, dvcyaml=None) as live:

        def to_dvclive(step: int, values: Mapping[str, float]) -> None:
            live.step = step
            for name, value in values.items():
                live.log_metric(name, value)
            live.sync()

        yield to_dvclive
