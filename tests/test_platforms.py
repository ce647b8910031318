"""What systems do differently, by taking it away from this one."""

from __future__ import annotations

import errno
import os
import sys

import numpy as np
import pytest

from cloakbench import platforms
from cloakbench.errors import InputError
from cloakbench.files.writing import writing_faces
from conftest import snakemake


def lacking(monkeypatch, fault):
    """posix_fallocate is not there, or fails."""
    if fault is None:
        return monkeypatch.delattr(os, "posix_fallocate")

    def posix_fallocate(*_):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "posix_fallocate", posix_fallocate)


@pytest.mark.parametrize("fault", [None, errno.EOPNOTSUPP, errno.EINVAL], ids=["absent", "unsupported", "invalid"])
def test_faces_have_their_place_on_the_disk_wherever(tmp_path, monkeypatch, fault):
    lacking(monkeypatch, fault)
    path = tmp_path / "faces.npy"
    with writing_faces(path, 9, (300, 300)) as faces:
        (temporary,) = tmp_path.glob("*.part")
        assert temporary.stat().st_blocks * 512 >= 9 * 300 * 300 * 3
        assert not faces.any()
        faces[:] = 5
    assert (np.load(path) == 5).all()


def test_a_full_disk_is_told_and_room_for_it_is_all_it_takes(tmp_path, monkeypatch):
    path = tmp_path / "faces.npy"
    with monkeypatch.context() as full:
        lacking(full, errno.ENOSPC)
        with (
            pytest.raises(InputError, match=r"faces.npy: cannot be written .*; make room"),
            writing_faces(path, 1, (2, 2)),
        ):
            pass
    assert not list(tmp_path.iterdir())
    with writing_faces(path, 1, (2, 2)) as faces:
        faces[:] = 5
    assert (np.load(path) == 5).all()


def test_memory_is_counted_in_bytes(monkeypatch):
    here = platforms.peak_memory()
    assert 20 * 2**20 < here < 2**40
    monkeypatch.setattr(sys, "platform", "darwin")  # which counts in bytes itself
    assert 0.9 < platforms.peak_memory() * 1024 / here < 1.1


@pytest.mark.parametrize("name", ["Windows", "CYGWIN_NT-10.0", "MINGW64_NT-10.0"])
def test_windows_is_sent_to_wsl(monkeypatch, name):
    monkeypatch.setattr(platforms.platform, "system", lambda: name)
    with pytest.raises(SystemExit, match=r"^cloakbench: .* WSL"):
        platforms.refuse_windows()


@pytest.mark.parametrize("name", ["Linux", "Darwin"])
def test_others_are_not(monkeypatch, name):
    monkeypatch.setattr(platforms.platform, "system", lambda: name)
    platforms.refuse_windows()


def test_jobs_run_with_the_interpreter_that_runs_snakemake(tmp_path):
    """As cron and an IDE start it: in front of everybody's tools stands another python, or none."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\necho another python >&2\nexit 3\n")
    (tmp_path / "bin/python").chmod(0o755)
    (tmp_path / "people.yaml").write_text("dataset: {identities: 2}\ntop_k: [1]")
    options = ["--cores", 1, "--configfile", tmp_path / "people.yaml", "--", "results/demo/photos"]
    run = snakemake(tmp_path, *options, PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert run.returncode == 0 and "another python" not in run.stderr, run.stderr
    assert len(list((tmp_path / "results/demo/photos").rglob("*.jpg"))) > 10
