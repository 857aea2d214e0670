"""Jobs that other processes can import."""

import os
import signal
import time
from pathlib import Path

from benchmark.errors import UserError


def square(x):
    if x == 3:
        raise UserError("x.yaml: three is wrong")
    if x == 4:
        raise ValueError("four")
    return x * x


def threads(_):
    return os.environ["OMP_NUM_THREADS"]


def die_on_two(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return x


def report_then_sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)
