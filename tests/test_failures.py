"""What a user reads when a job fails: how it ended, the last lines of its log and the log's path."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cloakbench.endings import last_lines
from conftest import ROOT

SNAKEFILE = """
rule work:
    output: "out"
    log: "logs/work.log"
    shell: "python -S -m cloakbench.warm work.py --log {log:q} && touch out"
"""
SCRIPT = """
import os, signal, sys
from cloakbench import command
from cloakbench.errors import InputError

def main(options):
    print("halfway", file=sys.stderr)
    for percent in range(0, 90):
        print(f"\\rprogress {percent} %", end="", file=sys.stderr)
    DEED

command.run(main, command.parser("work"))
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
FAULTS = {
    "input": ('raise InputError("photo.jpg: not a picture")', "photo.jpg: not a picture (log: logs/work.log)"),
    "crash": ("{}['nobody']", "KeyError: 'nobody'"),
    "killed": (KILL, "killed by SIGKILL, as happens to a job that takes more memory than there is"),
}


@pytest.fixture
def work(tmp_path):
    """Runs a one-rule workflow around a script that does what it is told; gives Snakemake's output."""

    def work(deed: str, **environment: str) -> str:
        (tmp_path / "Snakefile").write_text(SNAKEFILE)
        (tmp_path / "work.py").write_text(SCRIPT.replace("DEED", deed))
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/lib")} | environment
        command = [sys.executable, "-m", "snakemake", "--cores", "1"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=300)
        assert run.returncode != 0
        return run.stderr

    return work


@pytest.mark.parametrize("start", ["warm", "plain"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_job_says_how_it_ended_and_where_its_log_is(work, tmp_path, fault, start):
    deed, said = FAULTS[fault]
    output = work(deed, **({"SLURM_JOB_ID": "1"} if start == "plain" else {}))
    assert said in output
    if fault != "input":  # bad input is told in one line, which is the log's last
        assert "last lines of logs/work.log:\n    halfway\n    progress 89 %" in output
    log = (tmp_path / "logs/work.log").read_text()
    assert said.removesuffix(" (log: logs/work.log)") in log, "the log must say it too"
    assert log.count("progress") == 1, "a progress bar takes one line of the log"


def test_a_crash_shows_the_end_of_its_traceback(work):
    output = work("{}['nobody']")
    told = output[output.index("cloakbench work: crashed; last lines of logs/work.log:") :]
    assert "Traceback (most recent call last):" in told and "{}['nobody']" in told


def test_a_warning_reaches_the_user_and_the_log(work, tmp_path):
    output = work("""command.warn("odd colours")
    raise InputError("and the end")""")
    assert output.count("cloakbench work: WARNING: odd colours\n") == 1
    assert "cloakbench work: WARNING: odd colours\n" in (tmp_path / "logs/work.log").read_text()


def test_last_lines_of_an_awkward_log(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log) == ["(No such file or directory)"]
    log.write_bytes(b"")
    assert last_lines(log) == ["(empty)"]
    log.write_bytes(b"\xff" * 20_000 + b"\n\n1 %\r2 %\r3 %\r\nend")
    assert last_lines(log, 2) == ["3 %", "end"]
