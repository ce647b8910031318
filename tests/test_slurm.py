"""The slurm profile on a real Slurm of one node with two pretended GPUs (mini_slurm.sh).

Each Slurm job starts a whole Snakemake or two, so the study is the smallest and its faces and network are made locally.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, snakemake

STUDY = ROOT / "tests/small.yaml"
RANKS = "results/small/ranks/facenet/{}/jpeg75/facenet.csv"
TABLES = ["results/small/psr.csv", *(f"results/small/table1.{kind}" for kind in ("csv", "md", "tex"))]
HASTE = ["--slurm-init-seconds-before-status-checks=1", "--seconds-between-status-checks=1", "--latency-wait=5"]


def obstacle() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.getuid() != 0:
        return "not root"
    for tool in ("slurmctld", "slurmd", "sbatch", "munged"):
        if not shutil.which(tool, path="/usr/sbin:/usr/bin"):
            return f"no {tool}; apt-get install slurmctld slurmd slurm-client munge"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "its plugin is missing; uv run --group slurm pytest -n 0 -m slow tests/test_slurm.py"
    return "this machine belongs to a cluster" if Path("/etc/slurm/slurm.conf").exists() else ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(obstacle()), reason=f"SKIPPED, SLURM WAS NOT CHECKED: {obstacle()}"),
]

# in front of the jobs' python: it notes what a job saw and when, and does to one of them what the test has in mind
PYTHON = """#!/usr/bin/env bash
note() { echo "$(date +%s.%N) $1 $SLURM_JOB_ID $stage ${CUDA_VISIBLE_DEVICES-none}" >>"$SEEN"; }
stage=$(basename "$4" .py)
note start
if [[ "$*" == *"$VICTIM"* ]] && mkdir "$SEEN.$DEED" 2>/dev/null; then
  case $DEED in
    cancel) note end; scancel "$SLURM_JOB_ID"; sleep 60 ;;
    wait) sleep 60 ;;
    kill) "$REAL_PYTHON" "$@" & until pkill -KILL -P $!; do sleep 0.1; done; wait $!; exit ;;
  esac
fi
"$REAL_PYTHON" "$@"
status=$?
note end
exit $status
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    state = tmp_path_factory.mktemp("slurm")
    control = [ROOT / "tests/mini_slurm.sh"]
    try:
        subprocess.run([*control, "up", state], check=True, timeout=60)
        yield
    finally:
        subprocess.run([*control, "down", state], check=True, timeout=60)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """The study as one machine computes it."""
    directory = tmp_path_factory.mktemp("local")
    run = snakemake(directory, "--cores", 2, "--configfile", STUDY)
    assert run.returncode == 0, run.stderr
    return directory


class Submission:
    """A head process with the slurm profile; `victim` is a word of the command that `deed` is done to, once."""

    def __init__(self, directory: Path, *options: object, deed: str = "none", victim: str = "none"):
        tools = directory / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "python").write_text(PYTHON)
        (tools / "python").chmod(0o755)
        self.seen = directory / "seen"
        self.seen.unlink(missing_ok=True)
        shutil.rmtree(f"{self.seen}.{deed}", ignore_errors=True)
        profile = ["--workflow-profile", ROOT / "profiles/slurm", "--configfile", STUDY]
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
        environment = os.environ | {"CLOAKBENCH_PYTHON": str(tools / "python"), "SEEN": str(self.seen)}
        environment |= {"DEED": deed, "VICTIM": victim, "PYTHONPATH": "", "REAL_PYTHON": sys.executable}
        self.process = subprocess.Popen(
            [*map(str, [*command, *profile, *HASTE, *options])],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where a shell runs tests with &
        )

    def finish(self) -> str:
        """What the head process printed, when it has ended."""
        return self.process.communicate(timeout=900)[1]

    def jobs(self) -> list[list[str]]:
        """Time, start or end, Slurm job, stage and CUDA_VISIBLE_DEVICES of what the jobs saw."""
        return [line.split() for line in self.seen.read_text().splitlines()] if self.seen.exists() else []


def fact(job: str, name: str) -> str:
    """What Slurm recorded of a job."""
    words = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout.split()
    return next(word.removeprefix(f"{name}=") for word in words if word.startswith(f"{name}="))


@pytest.fixture(scope="module")
def submitted(slurm, local, tmp_path_factory) -> tuple[Path, Submission, str]:
    """The study from the attack on, through Slurm; the first bundle is cancelled once, and somebody else has a card."""
    directory = tmp_path_factory.mktemp("submitted")
    shutil.copytree(local, directory, dirs_exist_ok=True)
    for part in ("path", "crafted", "stored", "manifests", "redetected", "ranks"):
        shutil.rmtree(directory / "results/small" / part)
    for table in TABLES:
        (directory / table).unlink()
    elsewhere = ["sbatch", "--parsable", "--gpus=1", "--mem=100", "--output=/dev/null", "--wrap=sleep 1800"]
    other = subprocess.check_output(elsewhere, text=True)
    run = Submission(directory, "--group-components", "cells=1", "--", *TABLES, deed="cancel", victim="--walk-from")
    output = run.finish()
    subprocess.run(["scancel", other.strip()], check=True)
    assert run.process.returncode == 0, output
    return directory, run, output


def test_the_tables_are_those_of_one_machine(submitted, local):
    directory, *_ = submitted
    for file in [*TABLES, RANKS.format("bim/eps2"), RANKS.format("clean/eps0")]:
        assert (directory / file).read_bytes() == (local / file).read_bytes(), file


def test_gpu_jobs_hold_a_gpu_alone_and_others_none(submitted):
    """Somebody else has the first of two cards: what remains is one, and two cells want it."""
    jobs = submitted[1].jobs()
    cards = {(stage, card) for _, event, _, stage, card in jobs if event == "start"}
    on_card = {"craft", "redetect", "look"}
    assert {stage for stage, card in cards if card == "1"} >= on_card
    assert {card for stage, card in cards if stage in on_card} == {"1"}
    assert {card for stage, card in cards if stage in ("aggregate", "table")} == {"none"}
    holders: list[str] = []
    for _, event, _, stage, card in sorted(jobs):
        if card != "none" and stage != "classify":  # which sees the card of its bundle and leaves it alone
            (holders.append if event == "start" else holders.remove)(stage)
        assert len(holders) <= 1, jobs
    bundles = {job for _, _, job, stage, _ in jobs if stage == "classify"}
    assert len(bundles) == 2, "one Slurm job a cell"


def test_a_cancelled_job_is_retried_with_more_memory_and_time(submitted):
    _, run, output = submitted
    tries = list(dict.fromkeys(job for _, _, job, stage, _ in run.jobs() if stage == "craft"))
    assert [fact(job, "JobState") for job in tries] == ["CANCELLED", "COMPLETED"]
    assert [fact(job, "MinMemoryNode") for job in tries] == ["8000M", "16000M"]
    assert [fact(job, "TimeLimit") for job in tries] == ["01:30:00", "03:00:00"]
    assert f"JOB {tries[0]} ON" in output and "CANCELLED AT" in output, "Slurm's own log is shown"


def test_a_cancelled_job_fails_only_what_depends_on_it(submitted):
    directory = submitted[0]
    ranks = {cell: directory / RANKS.format(cell) for cell in ("bim/eps2", "clean/eps0")}
    for file in [*ranks.values(), directory / TABLES[0]]:
        file.unlink()
    run = Submission(
        directory, "--retries", 0, "--group-components", "cells=1", "--", TABLES[0], deed="cancel", victim="clean/eps0"
    )
    assert "CANCELLED AT" in run.finish() and run.process.returncode != 0
    assert ranks["bim/eps2"].exists() and not ranks["clean/eps0"].exists() and not (directory / TABLES[0]).exists()


def test_a_killed_job_leaves_its_last_log_lines_in_the_head_process_output(submitted):
    """After the test above: what it lost is made again, and this time the bundle of tables is killed."""
    directory = submitted[0]
    run = Submission(directory, "--retries", 0, "--", TABLES[0], deed="kill", victim="aggregate.py")
    output = run.finish()
    assert run.process.returncode != 0 and not (directory / TABLES[0]).exists()
    assert "killed by SIGKILL" in output and "last lines of logs/small/aggregate.log:" in output


def test_ctrl_c_cancels_what_was_submitted(submitted):
    directory = submitted[0]
    run = Submission(directory, "--", TABLES[0], deed="wait", victim="aggregate.py")
    end = time.monotonic() + 600
    while not run.jobs() and time.monotonic() < end:
        time.sleep(0.2)
    job = run.jobs()[0][2]
    run.process.send_signal(signal.SIGINT)
    run.finish()
    assert run.process.returncode != 0 and fact(job, "JobState") in ("CANCELLED", "COMPLETING")
