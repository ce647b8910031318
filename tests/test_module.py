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
    shell: "wc -l {{input}} > {{output}}"
"""


def other(directory: Path, *arguments: object, names: str = "") -> subprocess.CompletedProcess:
    (directory / "Snakefile").write_text(OTHER.format(root=ROOT, toy=TOY, names=names))
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=600)


def test_another_workflow_uses_the_study_and_goes_on_from_it(tmp_path):
    run = other(tmp_path, "--cores", 2)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "how_many.txt").read_text().split()[0] == "4"
    assert job_counts(other(tmp_path, "-n").stdout) == {}
    whole = job_counts(other(tmp_path, "-n", "all").stdout)
    done = {"render", "detect", "draw"}
    alone = job_counts(snakemake(tmp_path / "alone", "-n", "--configfile", TOY).stdout)
    assert whole == {rule: count for rule, count in alone.items() if rule not in done}


def test_under_other_names_the_rules_do_not_find_each_other(tmp_path):
    """Snakemake hands a rule's functions no way to ask what it is called; docs/adding.md says so."""
    run = other(tmp_path, "-n", names=" as study_*")
    assert run.returncode and "draw" in run.stderr + run.stdout


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    (tmp_path / "alone").mkdir()
