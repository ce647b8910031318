"""Peak memory of a stage's job at two sizes of the study."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.jobs import JOBS, command, make_inputs
from cloakbench.errors import InputError
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line

EVERY = 0.005  # seconds between two looks at a job


def measure(counts: Sequence[int]) -> pd.DataFrame:
    """A row a stage and N: stage, faces, seconds, anonymous_mb, resident_mb.

    anonymous_mb is the largest RssAnon + RssShmem seen: memory that the job needs and only its end gives back. The
    kernel's high-water mark of everything resident stands beside it: there every page of a memory-mapped file of
    faces counts that was ever touched, although the kernel takes such pages back whenever somebody needs them.
    Each job is an interpreter of its own, not a fork, so that nothing is shared with a parent.
    """
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            make_inputs(Path(directory), count)
            rows += [(stage, count, *watch(command(stage), Path(directory))) for stage in JOBS]
    return pd.DataFrame(rows, columns=["stage", "faces", "seconds", "anonymous_mb", "resident_mb"])


def watch(job: Sequence[str], directory: Path) -> tuple[float, float, float]:
    """Seconds, peak anonymous and peak resident megabytes of a job. Raises InputError if it fails."""
    started, anonymous, resident = time.perf_counter(), 0, 0
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen([sys.executable, *job], cwd=directory, stdout=messages, stderr=messages)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            sizes = {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", status.read_text(), re.M)}
            anonymous = max(anonymous, sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0))
            resident = max(resident, sizes.get("VmHWM", 0))
            time.sleep(EVERY)
        seconds = time.perf_counter() - started
        messages.seek(0)
        if process.returncode:
            raise InputError(f"{Path(job[0]).name} failed while it was measured: {messages.read()[-500:]}")
    return seconds, anonymous / 1024, resident / 1024


def compare(measured: pd.DataFrame) -> pd.DataFrame:
    """A row a stage: megabytes at the smallest and the largest N, and how many times the one is the other."""
    smallest, largest = measured["faces"].min(), measured["faces"].max()
    wide = measured.pivot(index="stage", columns="faces", values=["anonymous_mb", "resident_mb"]).loc[list(JOBS)]
    return pd.DataFrame(
        {
            f"MB at N = {smallest}": wide["anonymous_mb"][smallest],
            f"MB at N = {largest}": wide["anonymous_mb"][largest],
            "times": wide["anonymous_mb"][largest] / wide["anonymous_mb"][smallest],
            "times, with file pages": wide["resident_mb"][largest] / wide["resident_mb"][smallest],
        }
    ).reset_index()


def main(options: Namespace) -> None:
    write_text(options.output, measure(options.faces).to_csv(index=False))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--faces", type=int, nargs="+", required=True, help="N, several")
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
