import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmark.engine.pool import run_jobs
from tests.engine import jobs

ROOT = Path(__file__).resolve().parents[2]


def test_results_and_reasons_come_back_with_their_jobs():
    results = {job: (result, reason) for job, result, reason in run_jobs(jobs.square, [1, 2, 3, 4], workers=2)}
    assert results[1] == (1, None)
    assert results[2] == (4, None)
    assert results[3] == (None, "x.yaml: three is wrong")
    assert results[4][0] is None
    assert results[4][1].startswith("ValueError: four (jobs.py:")


def test_no_jobs_start_nothing():
    assert list(run_jobs(jobs.square, [])) == []


def test_workers_compute_with_one_thread():
    assert [result for _, result, _ in run_jobs(jobs.threads, [0], workers=1)] == ["1"]


def test_a_killed_worker_costs_only_its_own_job():
    results = {job: (result, reason) for job, result, reason in run_jobs(jobs.die_on_two, [0, 1, 2, 3], workers=2)}
    assert {job for job, (_, reason) in results.items() if reason is None} == {0, 1, 3}
    assert "killed" in results[2][1]


def test_workers_end_when_their_parent_is_killed(tmp_path):
    code = (
        "from benchmark.engine.pool import run_jobs\nfrom tests.engine import jobs\n"
        f"if __name__ == '__main__':\n    list(run_jobs(jobs.report_then_sleep, [{str(tmp_path / 'pid')!r}], workers=1))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while _alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
