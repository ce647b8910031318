"""The study as a module of somebody else's workflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, TOY, job_counts, snakemake

OTHER = """
configfile: "{root}/config.yaml"
configfile: "{toy}"

module cloakbench:
    snakefile: "{root}/Snakefile"
    config: config

use rule * from cloakbench{names}

rule subjects:
    default_target: True
    input: "results/toy/subjects.csv"
    output: "how_many.txt"
    params: code="its own"
    shell: "wc -l {{input}} > {{output}}"
"""
ANOTHER = """
module another:
    snakefile: "{root}/Snakefile"
    config: config | {{"study": "another"}}

use rule * from another as another_*
"""


def other(directory: Path, *arguments: object, names: str = "", more: str = "") -> subprocess.CompletedProcess:
    (directory / "Snakefile").write_text((OTHER + more).format(root=ROOT, toy=TOY, names=names))
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("prefix", ["", pytest.param("study_", marks=pytest.mark.slow)])
def test_another_workflow_uses_the_study_and_goes_on_from_it(tmp_path, prefix):
    names = f" as {prefix}*" if prefix else ""
    run = other(tmp_path, "--cores", 2, names=names)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "how_many.txt").read_text().split()[0] == "4"
    assert job_counts(other(tmp_path, "-n", names=names).stdout) == {}
    # with provenance, whose record of the code is of the study's rules alone: `subjects` has a param of that name
    whole = job_counts(other(tmp_path, "-n", f"{prefix}all", names=names).stdout)
    alone = job_counts(snakemake(tmp_path, "-n", "--configfile", TOY).stdout)
    whole.pop("study_all", None)
    assert whole == {f"{prefix}{rule}": count for rule, count in alone.items()}
    assert "provenance" in alone and "draw" not in alone


def test_a_snakefile_runs_one_study(tmp_path):
    run = other(tmp_path, "-n", more=ANOTHER)
    assert run.returncode and "results/another and results/toy: one Snakefile runs one study" in run.stderr
