"""What the workflow costs beyond its stages: a whole study by Snakemake against the same commands in one process."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line

LAUNCHER = "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm "  # how rules start a job; its script and options follow
CPU_SECONDS = re.compile(r"([\d.]+) s of CPU")


def measure(snakefile: Path, changes: Mapping, cores: int) -> pd.DataFrame:
    """One row of the default study with some changes: jobs, seconds by Snakemake on `cores` cores, seconds of the same
    commands one after another in one process whose torch has `cores` threads, and CPU seconds: those that the jobs'
    logs add up to, Snakemake's own with the launchers of the jobs, and the one process's.

    The one process starts cold and imports everything once; the warm parent of the jobs is started anew too. Both
    begin with an empty folder. Raises InputError if either fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        workflow, process = Path(directory) / "workflow", Path(directory) / "process"
        for folder in (workflow, process):
            folder.mkdir()
        (workflow / "changes.json").write_text(json.dumps(changes))
        told = watched_python(workflow)
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile.resolve()), "--printshellcmds"]
        snakemake += ["--directory", str(workflow), "--cores", str(cores), "--configfile", "changes.json"]
        printed, by_snakemake, own_cpu = run(snakemake, workflow, {"CLOAKBENCH_PYTHON": str(told.with_name("python"))})
        given = dict(line.split("=", 1) for line in told.read_text().split("\0") if "=" in line)
        handed = {name: value for name, value in given.items() if name.startswith("CLOAKBENCH_")}
        commands = jobs(printed, handed)
        (process / "jobs.json").write_text(json.dumps([with_threads(words, cores) for words in commands]))
        _, alone, alone_cpu = run([sys.executable, "-m", "benchmarks.one_process", "jobs.json"], process, {})
        logs = [log.read_text(errors="replace") for log in sorted((workflow / "logs").rglob("*.log"))]
    cpu = sum(float(found[1]) for log in logs if (found := CPU_SECONDS.search(log)))
    row = {"jobs": len(commands), "cores": cores, "snakemake": by_snakemake, "one_process": alone, "jobs_cpu": cpu}
    row |= {"snakemake_cpu": own_cpu, "one_process_cpu": alone_cpu}
    return pd.DataFrame([row])


def watched_python(directory: Path) -> Path:
    """Beside a `python` that is this one, the file in which the first job that starts with it leaves its environment,
    by which Snakemake hands the jobs what would fill pages."""
    told, python = directory / "environment", directory / "python"
    python.write_text(f'#!/bin/sh\n[ -e {told} ] || env -0 > {told}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return told


def run(command: Sequence[str], directory: Path, more: Mapping[str, str]) -> tuple[str, float, float]:
    """What a command prints, its seconds and its CPU seconds, without those of the warm parent and the jobs forked
    from it. Its temporary folder, and with it the warm parent, is its own. more: of its environment."""
    (directory / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(directory / "tmp")} | more
    started, cpu = time.perf_counter(), cpu_of_children()
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InputError(f"{shlex.join(command[:3])} failed while it was measured: {done.stderr[-500:]}")
    return done.stdout + done.stderr, time.perf_counter() - started, cpu_of_children() - cpu


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def jobs(printed: str, handed: Mapping[str, str]) -> list[list[str]]:
    """The words of each job's command in the order in which Snakemake started them. handed: variables in them."""

    def filled(word: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: handed.get(found[1], found[0]), word)

    lines = (line.strip() for line in re.sub(r"\\\n\s*", "", printed).splitlines())
    commands = (line.partition(LAUNCHER)[2] for line in lines if LAUNCHER in line)
    return [[filled(word) for word in shlex.split(command)] for command in commands]


def with_threads(words: Sequence[str], threads: int) -> list[str]:
    """The command with another number of torch's threads, where it has one."""
    return [str(threads) if before == "--threads" else word for before, word in zip(["", *words], words, strict=False)]


def main(options: Namespace) -> None:
    write_text(options.output, measure(options.snakefile, options.changes, options.cores).to_csv(index=False))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--snakefile", type=Path, required=True)
    arguments.add_argument("--changes", type=json.loads, required=True, help="JSON: laid over the default study")
    arguments.add_argument("--cores", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
