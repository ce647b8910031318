"""What decides whether two checkouts compute the same: every kind of difference is seen, and nothing else is one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT
from same_bytes import Comparison, compare, equal

RANKS = "identity,rank\nAna,1\nBo,2\n"


@pytest.fixture
def study(tmp_path):
    """Writes a study's folder of two cells; gives its path."""

    def study(name, **others):
        files = {"crafted/a/eps2.npy": b"\0\1", "crafted/a/eps4.npy": b"\2", "ranks/a.csv": RANKS.encode()}
        for path, content in (files | others).items():
            if content is not None:
                (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name / path).write_bytes(content)
        return tmp_path / name

    return study


CRAFTED = ("crafted/a/eps2.npy", "crafted/a/eps4.npy")


@pytest.mark.parametrize(
    "others, expected",
    [
        ({}, Comparison([*CRAFTED], [], [], [])),
        ({"crafted/a/.eps2.npy.seal": b"now"}, Comparison([*CRAFTED], [], [], [])),
        ({CRAFTED[0]: b"\0\2"}, Comparison([CRAFTED[1]], [CRAFTED[0]], [], [])),
        ({CRAFTED[0]: None}, Comparison([CRAFTED[1]], [], [CRAFTED[0]], [])),
        ({"crafted/b.npy": b""}, Comparison([*CRAFTED], [], [], ["crafted/b.npy"])),
    ],
    ids=["the same", "a hidden file", "a byte", "a file less", "a file more"],
)
def test_files_are_compared_by_their_bytes(study, others, expected):
    found = compare(study("old"), study("new", **others), "crafted/**/*")
    assert found == expected
    assert found.same == (len(found.equal) == 2 and not found.only_new)


def test_nothing_compared_is_not_the_same(study):
    assert not compare(study("old"), study("new"), "stored/**/*").same


@pytest.mark.parametrize(
    "table, same",
    [
        (RANKS, True),
        ("identity,faces,rank\nAna,1,1\nBo,1,2\n", True),
        ("identity\nAna\nBo\n", True),
        ("identity,rank\nAna,1\nBo,3\n", False),
        ("identity,rank\nAna,1\nBo,2.0\n", False),
        ("identity,rank\nBo,2\nAna,1\n", False),
        ("identity,rank\nAna,1\n", False),
        ("rank,identity\n1,Ana\n2,Bo\n", False),
        ("name,place\nAna,1\nBo,2\n", False),
        ("identity,rank\nAna,1\nBo\n", False),
        ("", False),
    ],
    ids=["same", "more", "less", "value", "text", "rows", "lost", "columns", "none", "short", "empty"],
)
def test_tables_are_compared_in_the_columns_of_both(tmp_path, table, same):
    (tmp_path / "old.csv").write_text(RANKS)
    (tmp_path / "new.csv").write_text(table)
    assert equal(tmp_path / "old.csv", tmp_path / "new.csv") == same


def test_a_commit_that_does_not_exist_is_an_error():
    command = [sys.executable, ROOT / "tests/same_bytes.py", "0" * 40]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.startswith("git rev-parse")
