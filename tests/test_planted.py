"""Bugs that were planted, one a patch under tests/planted: each has to make the test fall that its first line names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, checkout_copy

PATCHES = sorted((ROOT / "tests/planted").glob("*.patch"))


def test_there_are_enough():
    assert len(PATCHES) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_a_planted_bug_is_found(patch, tmp_path):
    root = checkout_copy(tmp_path / "cloakbench", dated=True)
    # outside of any repository git applies a patch to files as they are
    alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path), "PYTHONPATH": str(root / "workflow/lib")}
    subprocess.run(["git", "apply", patch], cwd=root, env=alone, check=True, timeout=60)
    falls = patch.read_text().splitlines()[0].removeprefix("falls: ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", falls]
    run = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, timeout=600)
    assert run.returncode == 1 and "1 failed" in run.stdout, run.stdout + run.stderr


def test_each_patch_is_of_the_code_that_is_here(tmp_path):
    """A bug that can no longer be planted is no test."""
    for patch in PATCHES:
        changed = [line.removeprefix("+++ b/") for line in patch.read_text().splitlines() if line.startswith("+++ b/")]
        assert changed and all(Path(ROOT / name).is_file() for name in changed), patch
        subprocess.run(["git", "apply", "--check", patch], cwd=ROOT, check=True, timeout=60)
