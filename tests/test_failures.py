"""What a user reads when a job fails: how it ended, the last lines of its log and the log's path."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cloakbench.errors import InputError
from cloakbench.files.writing import writing
from cloakbench.jobs.endings import last_lines
from conftest import ROOT

SNAKEFILE = """
rule work:
    output: "out"
    log: "logs/work.log"
    shell: "python -S -m cloakbench.jobs.warm work.py --log {log:q} && touch out"
"""
SCRIPT = """
import os, signal, sys
from cloakbench.jobs import command
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


DYING_PARENT = """
import os, sys
if "cloakbench.jobs.parent" in sys.orig_argv:
    os._exit(1)
"""


def test_a_log_says_why_its_job_was_started_plainly(work, tmp_path):
    """Its log alone: a study has hundreds."""
    (tmp_path / "sitecustomize.py").write_text(DYING_PARENT)
    library = f"{ROOT / 'workflow/lib'}{os.pathsep}{tmp_path}"
    output = work('raise InputError("and the end")', PYTHONPATH=library, TMPDIR=str(tmp_path))
    first, *others = (tmp_path / "logs/work.log").read_text().splitlines()
    assert first.startswith("started plainly (Connection") and others
    assert "plainly" not in output
    work('raise InputError("and the end")', PYTHONPATH=library, TMPDIR=str(tmp_path), CLOAKBENCH_WARM="0")
    assert "plainly" not in (tmp_path / "logs/work.log").read_text()


# ------------------------------------------------------------------------------------------------ advice, followed

HUNGRY = """
import resource
from cloakbench.jobs import command

def main(options):
    with open("/proc/self/statm") as memory:
        here = int(memory.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + 2**28, -1))
    for _ in range(3):  # that of one batch is given back
        {take}

arguments = command.parser("job")
command.compute_options(arguments)
command.run(main, arguments)
"""
TAKE = {
    "numpy": ("import numpy", "numpy.ones((options.batch, 2**22), 'float32')"),
    "torch": ("import torch", "torch.ones((options.batch, 2**22))"),
    "python": ("", "bytearray(options.batch * 2**24)"),
}


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is limited as on Linux")  # noqa: PTH110
@pytest.mark.parametrize("library", TAKE)
def test_a_lower_batch_takes_less_memory(tmp_path, library):
    imported, take = TAKE[library]
    (tmp_path / "job.py").write_text(imported + HUNGRY.format(take=take))

    def run(batch):
        command = [sys.executable, "job.py", "--log", "job.log", "--batch", str(batch)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/lib")}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    failed = run(64)
    assert failed.returncode == os.EX_SOFTWARE
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("cloakbench job: error:") and "or lower compute.batch (log: job.log)" in last
    assert run(1).returncode == 0


@pytest.mark.parametrize("obstacle", ["logs", "logs/job.log"])
def test_a_log_that_cannot_be_written_is_told_and_can_be_with_access(tmp_path, obstacle):
    (tmp_path / "job.py").write_text(SCRIPT.replace("DEED", "pass"))

    def run():
        command = [sys.executable, "job.py", "--log", "logs/job.log"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/lib")}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    if obstacle == "logs":
        (tmp_path / obstacle).touch()
    else:
        (tmp_path / obstacle).mkdir(parents=True)
    failed = run()
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "logs/job.log: cannot be written (" in failed.stderr and "make room or give access" in failed.stderr
    (tmp_path / obstacle).rename(tmp_path / "away")
    assert run().returncode == 0 and (tmp_path / "logs/job.log").is_file()


def test_what_cannot_be_read_is_not_said_to_be_what_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"photo\.jpg"), writing(tmp_path / "out" / "faces.npy"):
        (tmp_path / "photo.jpg").open()
    with (
        pytest.raises(InputError, match=r"faces\.npy: cannot be written"),
        writing(tmp_path / "out" / "faces.npy") as faces,
    ):
        (faces / "below").open("w")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
