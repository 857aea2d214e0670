"""A side of a comparison in a process of its own: a module of ours, or its file in a peer's environment."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import UserError


def run_side(
    module: ModuleType, name: str, arguments: Sequence[object], python: Path | None, remedy: str
) -> dict[str, Any]:
    """What a side prints last, as JSON.

    Args:
        module: whose `main` runs a side; it imports nothing of Leveret's where `python` is a peer's.
        name: of the side, its first argument.
        arguments: the others.
        python: interpreter of a peer's environment; None: ours.
        remedy: what to do when a peer does not run.

    Raises:
        UserError: it does not run.
    """
    start = [sys.executable, "-m", module.__name__] if python is None else [str(python), str(module.__file__)]
    try:
        done = subprocess.run([*start, name, *map(str, arguments)], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"--peers: {python}: cannot be run ({error.strerror}); {remedy}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{name}: {last}" + (f"; {remedy}" if python else ""))
    return json.loads(done.stdout.strip().splitlines()[-1])
