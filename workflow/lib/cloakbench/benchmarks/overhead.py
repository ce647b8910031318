"""What the workflow costs beyond its stages: a whole study by Snakemake against the same commands in one process."""

from __future__ import annotations

import json
import os
import re
import resource
import runpy
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError

LAUNCHER = "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm "  # how rules start a job; its script and options follow
CPU_SECONDS = re.compile(r"([\d.]+) s of CPU")


def measure(snakefile: Path, config: Mapping, changes: Mapping, cores: int) -> pd.DataFrame:
    """One row: jobs, seconds by Snakemake on `cores` cores, seconds of the same commands one after another in one
    process whose torch has `cores` threads, and CPU seconds: those that the jobs' logs add up to, Snakemake's own with
    the launchers of the jobs, and the one process's.

    The one process starts cold and imports everything once; the warm parent of the jobs is started anew too. Both
    begin with an empty folder. Raises InputError if either fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        workflow, process = Path(directory) / "workflow", Path(directory) / "process"
        for folder in (workflow, process):
            folder.mkdir()
        configs = [workflow / "study.json", workflow / "changes.json"]  # Snakemake merges the second into the first
        for path, settings in zip(configs, (config, changes), strict=True):
            path.write_text(json.dumps(settings))
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile.resolve())]
        snakemake += ["--directory", str(workflow), "--cores", str(cores), "--configfile", *map(str, configs)]
        printed, by_snakemake, own_cpu = run([*snakemake, "--printshellcmds"], workflow)
        commands = jobs(printed)
        (process / "jobs.json").write_text(json.dumps([with_threads(words, cores) for words in commands]))
        _, alone, alone_cpu = run([sys.executable, "-m", "cloakbench.benchmarks.overhead", "jobs.json"], process)
        logs = [log.read_text(errors="replace") for log in sorted((workflow / "logs").rglob("*.log"))]
    cpu = sum(float(found[1]) for log in logs if (found := CPU_SECONDS.search(log)))
    row = {"jobs": len(commands), "cores": cores, "snakemake": by_snakemake, "one_process": alone, "jobs_cpu": cpu}
    row |= {"snakemake_cpu": own_cpu, "one_process_cpu": alone_cpu}
    return pd.DataFrame([row])


def run(command: Sequence[str], directory: Path) -> tuple[str, float, float]:
    """What a command prints, its seconds and its CPU seconds, without those of the warm parent and the jobs forked
    from it. Its temporary folder, and with it the warm parent, is its own."""
    (directory / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(directory / "tmp")}
    started, cpu = time.perf_counter(), cpu_of_children()
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InputError(f"{shlex.join(command[:3])} failed while it was measured: {done.stderr[-500:]}")
    return done.stdout + done.stderr, time.perf_counter() - started, cpu_of_children() - cpu


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def jobs(printed: str) -> list[list[str]]:
    """The words of each job's command in the order in which Snakemake started them."""
    lines = (line.strip() for line in re.sub(r"\\\n\s*", "", printed).splitlines())
    commands = (line.partition(LAUNCHER)[2] for line in lines if LAUNCHER in line)
    return [[os.path.expandvars(word) for word in shlex.split(command)] for command in commands]


def with_threads(words: Sequence[str], threads: int) -> list[str]:
    """The command with another number of torch's threads, where it has one."""
    return [str(threads) if before == "--threads" else word for before, word in zip(["", *words], words, strict=False)]


def run_in_this_process(commands: Iterable[Sequence[str]]) -> None:
    for words in commands:
        sys.argv, stderr = list(words), sys.stderr
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as leaving:
            if leaving.code:
                raise
        finally:
            sys.stderr = stderr


if __name__ == "__main__":
    run_in_this_process(json.loads(Path(sys.argv[1]).read_text()))
