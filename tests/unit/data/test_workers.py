"""Workers end with the process that started them, even if it was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from components.data.workers import worker_processes

PARENT = """
import os, sys, time
from components.data.workers import worker_processes
if __name__ == "__main__":
    with worker_processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


def test_work_is_done_elsewhere():
    with worker_processes(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


def test_a_killed_parent_leaves_no_worker(tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 30
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the worker still runs"
        time.sleep(0.1)
