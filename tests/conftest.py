from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn

from cloakbench.attacks.entries import check_attacks
from cloakbench.files import seals
from cloakbench.recognisers.recogniser import Recogniser
from cloakbench.study import config as study_config

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "real"
TOY = ROOT / "tests" / "toy.yaml"

# as users have it: where Python may write no bytecode each of the thousands of jobs would compile the library anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"SKIPPED, NOTHING WAS CHECKED: no real photographs and weights at {REAL}"
)


def snakemake(
    directory: Path, *arguments: object, root: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """Run the workflow as a user does, in a directory of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile", "--directory", directory]
    # the checkout under test, not the installed one
    environment = os.environ | {"PYTHONPATH": ""} | environment
    return subprocess.run(
        [*map(str, command), *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=900
    )


def complete(config: dict) -> dict:
    """A config as the workflow fills it in and checks it before anything else."""
    there = {"schema": ROOT / "workflow/schemas/config.schema.yaml", "catalogue": ROOT / "workflow/attacks.yaml"}
    study_config.complete(config, [], ROOT / "config.yaml", **there)
    check_attacks(config)
    return config


def checkout_copy(path: Path, dated: bool = False) -> Path:
    """A copy of the project in which every file is newer than any result; dated: as old as here, and compiled."""
    unwanted = shutil.ignore_patterns(".*", "results", "logs", *([] if dated else ["__pycache__"]))
    return Path(shutil.copytree(ROOT, path, ignore=unwanted, copy_function=shutil.copy2 if dated else shutil.copyfile))


def digests(directory: Path, *patterns: str) -> dict[str, str]:
    files = [file for pattern in patterns for file in sorted(directory.glob(pattern)) if file.is_file()]
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def job_counts(dry_run: str) -> dict[str, int]:
    """Rule name to number of jobs, from what `snakemake -n` prints; empty when nothing is to be done."""
    counts, listing = {}, False
    for line in dry_run.splitlines():
        words = line.split()
        listing = (listing or line.startswith("Job stats:")) and bool(words)
        if listing and len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "all"):
            counts[words[0]] = int(words[1])
    return counts


def forge(path: Path) -> None:
    """Seal what lies at `path` as if the job had written it so: a forger's edit, or damage that fits its seal."""
    with patch.object(seals, "_settings", seals.read_seal(path)["settings"]):
        seals.seal(path)


LONG = ["test_faults.py", "test_workflow.py", "test_paper.py", "test_advice.py", "test_real.py", "test_planted.py"]
LONG += ["test_roles.py", "test_own.py", "test_warm.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are shared out in this order: one that takes minutes would leave the other processes waiting in the end."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def recogniser() -> Recogniser:
    """A small network with 10 classes for 16 x 16 faces, random but the same every time."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
    )
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.4)
    network[1].running_var.fill_(1.0)
    model = Recogniser(network, [127.5] * 3, [128.0] * 3)
    model.classes = [f"person {i}" for i in range(10)]
    return model


@pytest.fixture
def faces(rng) -> np.ndarray:
    return rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
