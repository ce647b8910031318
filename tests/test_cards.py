"""Jobs of one machine spread over its GPUs, and what is asked of a GPU; with names and pretended ones only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

import pytest
import torch

from cloakbench.errors import InputError
from cloakbench.jobs import devices
from cloakbench.jobs.cards import visible_cards
from conftest import ROOT, checkout_copy, snakemake

WARNED = """
import torch
from cloakbench.jobs import command, devices

def main(options):
    devices.use("cuda", 1)
    torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))  # the last one wins, whichever that is

torch.cuda.is_available, torch.cuda.get_device_name = lambda: True, lambda device: "pretended"
devices._least_used_card = lambda: torch.device("cuda", 0)
command.run(main, command.parser("job"))
"""

JOB = """
import sys
from pathlib import Path
from cloakbench.jobs.cards import claim
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


PRETENDED = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch):
    """torch finds a GPU, one that computes no bf16; nothing can be computed on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(devices, "_least_used_card", lambda: PRETENDED)
    fills = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = fills


def test_a_gpu_is_asked_for_the_same_bytes_each_time(gpu):
    devices.use("cpu", 1)
    assert not torch.are_deterministic_algorithms_enabled()
    assert devices.use("auto", 1) == PRETENDED
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()


def test_an_operation_without_a_fixed_order_is_in_the_log(tmp_path):
    log = tmp_path / "job.log"
    run = subprocess.run(
        [sys.executable, "-c", WARNED, "--log", log], capture_output=True, text=True, cwd=ROOT / "workflow/lib"
    )
    assert run.returncode == 0, run.stderr
    assert "put_ does not have a deterministic implementation" in log.read_text()


def test_bf16_is_refused_where_the_gpu_does_not_compute_it(gpu, monkeypatch):
    with pytest.raises(InputError, match=r"precision: bf16, but Tesla T4 does not compute it; accepted: fp32, tf32"):
        devices.use("auto", 1, "bf16")
    assert devices.use("cpu", 1, "bf16") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert devices.use("cuda", 1, "bf16") == PRETENDED


def test_jobs_ask_cublas_for_one_order(tmp_path, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    root = checkout_copy(tmp_path / "cloakbench")
    with (root / "Snakefile").open("a") as snakefile:
        snakefile.write("\nprint('cublas', os.environ['CUBLAS_WORKSPACE_CONFIG'])\n")
    run = snakemake(tmp_path, "-n", root=root)
    assert "cublas :4096:8" in run.stdout + run.stderr, run.stderr


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


@pytest.mark.parametrize("obstacle", ["a file", "open to others", "no locks"])
def test_where_no_folder_can_be_had_for_the_claims_tmpdir_is_the_way_out(tmp_path, monkeypatch, obstacle):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda card: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for place in ("bad", "good"):
        (tmp_path / place).mkdir()
    folder = tmp_path / "bad" / f"cloakbench-{os.getuid()}"
    if obstacle == "a file":
        folder.touch()
    else:
        folder.mkdir(mode=0o700)
    if obstacle == "open to others":
        folder.chmod(0o777)
    if obstacle == "no locks":
        (folder / "card0.seat0").mkdir()
    devices._least_used_card.cache_clear()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "bad"))
    with pytest.raises(InputError, match=f"{folder}.*; set TMPDIR to a folder of this machine"):
        devices._least_used_card()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "good"))
    assert devices._least_used_card() == torch.device("cuda", 0)
    devices._least_used_card.cache_clear()
