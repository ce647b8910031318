"""What it costs to start a job: a plain interpreter against a fork of the warm parent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.jobs import JOBS, command, make_inputs
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line

FACES = 2  # so few that a job is little but its start
STARTS = {"warm": [sys.executable, "-S", "-m", "cloakbench.jobs.warm"], "plain": [sys.executable]}


def measure(repetitions: int) -> pd.DataFrame:
    """A row a job run: stage, start, repetition, seconds. Warm and plain starts take turns."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        make_inputs(Path(directory), FACES)
        for repetition in range(repetitions):
            run("warm", "crop", directory)  # starts the parent, which may have ended while plain jobs ran
            rows += [(stage, start, repetition, run(start, stage, directory)) for start in STARTS for stage in JOBS]
    return pd.DataFrame(rows, columns=["stage", "start", "repetition", "seconds"])


def run(start: str, stage: str, directory: str) -> float:
    started = time.perf_counter()
    job: Sequence[str] = [*STARTS[start], *command(stage)]
    subprocess.run(job, cwd=directory, check=True, capture_output=True)
    return time.perf_counter() - started


def compare(measured: pd.DataFrame) -> pd.DataFrame:
    """A row a stage: median seconds of a plain and of a warm job, and how many times the one is the other."""
    wide = measured.pivot_table(index="stage", columns="start", values="seconds", aggfunc="median").loc[list(JOBS)]
    wide = wide.rename(columns=lambda start: f"{start}, s").rename_axis(columns=None)
    return wide.assign(times=wide["plain, s"] / wide["warm, s"]).reset_index()


def main(options: Namespace) -> None:
    write_text(options.output, measure(options.repetitions).to_csv(index=False))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--repetitions", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
