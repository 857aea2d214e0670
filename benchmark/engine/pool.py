"""Where work runs: in this process, in local processes, or on a Ray cluster."""

import logging
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from benchmark.errors import ClipError, UserError

log = logging.getLogger(__name__)

Job = TypeVar("Job")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    function: Callable[[Job], Any], jobs: Sequence[Job], workers: int = 0, backend: str = "local"
) -> Iterator[tuple[Job, Any, str | None]]:
    """Run `function` on every job and yield (job, result, None) or (job, None, reason) as they end.

    One job that fails does not stop the others. Every process computes with one thread, so that results do not depend on
    how many run side by side, and ends by itself when this process is gone.

    Args:
        function: importable by name, since other processes look it up.
        workers: processes; 0 means one a core.
        backend: `local` or `ray`.
    """
    workers = min(workers or default_workers(), len(jobs))
    if not jobs:
        return
    if backend == "ray":
        yield from _run_ray(function, jobs, workers)
        return
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = "1"
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    while waiting:
        with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(os.getpid(),)) as executor:
            futures = {executor.submit(_call, function, job): job for job in waiting}
            waiting = []
            broken = []
            for future in as_completed(futures):
                try:
                    result, reason = future.result()
                    yield futures[future], result, reason
                except BrokenProcessPool:
                    broken.append(futures[future])
        if broken and workers == 1 and len(broken) == 1:
            yield broken[0], None, "its process was killed (out of memory?)"
        elif broken:
            # Which job broke the pool is unknown: run them one at a time, each in a fresh process, to find out.
            for job in broken:
                yield from _run_alone(function, job, context)


def _run_alone(function: Callable[[Job], Any], job: Job, context: Any) -> Iterator[tuple[Job, Any, str | None]]:
    with ProcessPoolExecutor(1, context, initializer=_start_worker, initargs=(os.getpid(),)) as executor:
        try:
            result, reason = executor.submit(_call, function, job).result()
            yield job, result, reason
        except BrokenProcessPool:
            yield job, None, "its process was killed (out of memory?)"


def _call(function: Callable[[Job], Any], job: Job) -> tuple[Any, str | None]:
    try:
        return function(job), None
    except (UserError, ClipError) as error:
        return None, str(error)
    except Exception as error:
        log.debug("%s", traceback.format_exc())
        where = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"


def _start_worker(parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however that went."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run_ray(
    function: Callable[[Job], Any], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Any, str | None]]:
    try:
        import ray
    except ImportError:
        raise UserError("params.yaml: engine.backend: ray is not installed; pip install 'leveret[ray]'") from None
    started = not ray.is_initialized()
    if started:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        environment = {"env_vars": dict.fromkeys(_THREAD_VARIABLES, "1")}
        remote = ray.remote(num_cpus=1, runtime_env=environment)(_call)
        waiting = {remote.remote(function, job): job for job in jobs}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done[0])
            try:
                result, reason = ray.get(done[0])
                yield job, result, reason
            except ray.exceptions.RayError as error:
                yield job, None, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    finally:
        if started:
            ray.shutdown()
