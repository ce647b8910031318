"""The warm start does what a plain start does: streams, status, environment, death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT

SCRIPT = """
import os, sys, time
print("out", sys.argv[1:], os.environ.get("COLOUR"), os.getcwd())
print("err", file=sys.stderr)
open("pid", "w").write(str(os.getpid()))
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "job.py").write_text(SCRIPT)

    def start(*arguments, **environment):
        command = [sys.executable, "-S", "-m", "cloakbench.warm", str(tmp_path / "job.py"), *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/lib"), "COLOUR": "red"} | environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, text=True, env=environment, **pipes)

    return start


@pytest.mark.parametrize("slurm", [{}, {"SLURM_JOB_ID": "1"}], ids=["warm", "plain"])
def test_streams_status_and_environment(start, tmp_path, slurm):
    job = start("0", "7", **slurm)
    out, err = job.communicate(timeout=120)
    assert out == f"out ['0', '7'] red {tmp_path}\n" and err == "err\n" and job.returncode == 7


def test_a_traceback_is_status_1(start, tmp_path):
    (tmp_path / "job.py").write_text("raise KeyError('lost')")
    job = start()
    assert "KeyError: 'lost'" in job.communicate(timeout=120)[1] and job.returncode == 1


def test_jobs_find_torch_imported_and_the_project_not(start, tmp_path):
    (tmp_path / "job.py").write_text(
        "import sys; print('torch' in sys.modules, [m for m in sys.modules if m.startswith('cloakbench.')])"
    )
    assert start().communicate(timeout=120)[0] == "True []\n"


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_dies_with_who_asked_for_it(start, tmp_path, blow):
    job = start("60", "0")
    end = time.monotonic() + 120
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    job.send_signal(blow)
    job.wait(10)
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the job outlived the process that asked for it")


def test_a_killed_job_is_told_from_a_finished_one(start, tmp_path):
    (tmp_path / "job.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    job = start()
    job.communicate(timeout=120)
    assert job.returncode == 128 + signal.SIGKILL
