"""The other end of `client.py`: runs under the reference's Python and needs nothing but the standard library.

It prints a JSON line when the reference is loaded, and one with the seconds taken whenever it reads a line.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# `load(threads)` gives what embeds the file at a path, and words on what that includes.
Loaded = tuple[Callable[[str], object], str]


def serve(load: Callable[[int], Loaded]) -> None:
    """Take turns with whoever started this script.

    Args:
        load: imports the reference and builds it with so many threads, on the CPU.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = str(options.threads)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Scripts are called like the packages that they import.
    sys.path.remove(str(Path(sys.argv[0]).resolve().parent))
    # The client starts this in the reference's folder.
    source = Path.cwd() / "src"
    if source.is_dir():
        sys.path[:0] = [str(source), *(str(folder) for folder in sorted(source.iterdir()) if folder.is_dir())]
    embed, includes = load(options.threads)
    print(json.dumps({"ready": includes}), file=answers, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), _cpu()
        for file in options.files:
            embed(file)
        print(json.dumps({"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}), file=answers, flush=True)


def _cpu() -> float:
    """Processor seconds of this process and of the children that it waited for (ffmpeg)."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
