"""Jobs of one machine spread over its GPUs; tested with the cards' names alone, no GPU is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from cloakbench.cards import visible_cards
from conftest import ROOT, snakemake

JOB = """
import sys
from pathlib import Path
from cloakbench.cards import claim
print(claim(sys.argv[2:], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path):
    """Starts a process that claims one of the named cards and keeps it; gives the process and the card's position."""
    started = []

    def job(*cards: str) -> tuple[subprocess.Popen, int]:
        command = [sys.executable, "-c", JOB, str(tmp_path), *cards]
        process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT / "workflow/lib"
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield job
    for process in started:
        process.kill()
        process.wait()


def test_each_job_gets_the_least_used_card_and_a_dead_one_gives_it_back(job):
    jobs = [job("0", "1") for _ in range(3)]
    assert [card for _, card in jobs] == [0, 1, 0]
    dead, _ = jobs[1]
    dead.kill()
    dead.wait()
    assert job("0", "1")[1] == 1


def test_a_card_is_the_same_whatever_its_position(job):
    """A user who shows one study the second card only, and all cards to another."""
    assert job("1")[1] == 0
    assert Counter(job("0", "1")[1] for _ in range(3)) == {0: 2, 1: 1}


@pytest.mark.parametrize(
    "count, visible, names",
    [
        (2, None, ["0", "1"]),
        (1, "3", ["3"]),
        (2, "GPU-8f6e, GPU-17ab", ["GPU-8f6e", "GPU-17ab"]),
        (1, "2,7", ["2"]),  # torch stops at the first that does not exist
        (1, "", ["0"]),
    ],
)
def test_visible_cards(count, visible, names):
    assert visible_cards(count, visible) == names


SHARED = ["--resources", "gpu=6", "gpu_mem_mb=24000"]


@pytest.mark.parametrize(
    "visible, options, limits",
    [("0,1", [], {"gpu": "2"}), ("0,1", SHARED, {"gpu": "6", "gpu_mem_mb": "24000"}), ("", [], {})],
    ids=["a job a card", "shared by choice", "no card"],
)
def test_no_more_gpu_jobs_at_once_than_cards_unless_asked_for(tmp_path, monkeypatch, visible, options, limits):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    study = ["--cores", 8, "--configfile", ROOT / "tests/small.yaml", *options, "--", "results/small/photos"]
    run = snakemake(tmp_path, *study)
    assert run.returncode == 0, run.stderr
    provided = next((line for line in run.stderr.splitlines() if line.startswith("Provided resources:")), "")
    assert dict(re.findall(r"(gpu\w*)=\D*(\d+)", provided)) == limits
