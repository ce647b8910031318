"""What Snakemake shows a user stays readable: no line of the terminal is a page."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from cloakbench.jobs.readable import LONGEST, Readable
from conftest import ROOT, TOY, snakemake


@pytest.mark.parametrize("count", [0, 1, 2, 30, 5000])
def test_of_a_long_list_some_names_and_the_number_are_shown(count):
    files = [f"results/demo/ranks/facenet/bim/eps{number}/jpeg75/senet50.csv" for number in range(count)]
    reason = f"Input files updated by another job: {', '.join(files)}"
    record = SimpleNamespace(input=list(files), output=[], reason=reason)
    assert Readable().filter(record)
    for shown in (", ".join(record.input), record.reason):
        assert len(shown) < LONGEST + 100
    if count == 5000:
        assert record.input[:2] == files[:2] and record.input[-1] == f"and {5001 - len(record.input)} more"
        assert record.reason.startswith(reason[:200]) and record.reason.endswith(" more")
    else:
        assert count > 10 or (record.input == files and record.reason == reason)


def test_other_records_pass_as_they_are():
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "x" * 5000, None, None)
    assert Readable().filter(record) and record.getMessage() == "x" * 5000


@pytest.mark.parametrize("study", ["default", "paper"])
def test_no_line_of_a_dry_run_is_a_page(study, tmp_path):
    (tmp_path / "data/train/n000002").mkdir(parents=True)
    paper = ["--configfile", ROOT / "workflow/studies/paper.yaml", "--config", f"dataset={{root: {tmp_path / 'data'}}}"]
    run = snakemake(tmp_path, "-n", "-p", *(paper if study == "paper" else []))
    assert run.returncode == 0, run.stderr
    longest = max((run.stdout + run.stderr).splitlines(), key=len)
    assert len(longest) < 1000, longest


def test_no_line_of_a_failure_is_a_page(tmp_path):
    (tmp_path / "bad.yaml").write_text("gate: {clean_top1: 100}\ntraining: {epochs: 1}\ndataset: {identities: 70}")
    run = snakemake(tmp_path, "--cores", 2, "-p", "--configfile", TOY, tmp_path / "bad.yaml", "--", "aggregate")
    assert run.returncode != 0 and "gate" in run.stderr
    assert max(map(len, (run.stdout + run.stderr).splitlines())) < 1000
