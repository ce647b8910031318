"""Seals by themselves: what they notice, what they let pass, and the chain from a table back to the photographs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.files.inspection import faults, lineage
from cloakbench.files.seals import intact, seal_of
from cloakbench.files.writing import write_text, writing


@pytest.fixture(autouse=True)
def as_a_job_of_its_own(monkeypatch):
    monkeypatch.setattr(seals, "_read", {})


def job(output: Path, text: str, *inputs: Path, monkeypatch) -> None:
    """A process that reads its inputs and writes its output."""
    monkeypatch.setattr(seals, "_read", {})
    for path in inputs:
        intact(path)
    write_text(output, text)


@pytest.fixture
def chain(tmp_path, monkeypatch) -> list[Path]:
    """faces -> ranks -> table, in folders of their own."""
    paths = [tmp_path / "a/faces.csv", tmp_path / "b/c/ranks.csv", tmp_path / "table.csv"]
    for index, path in enumerate(paths):
        job(path, path.name, *paths[max(index - 1, 0) : index], monkeypatch=monkeypatch)
    return paths


def test_a_whole_chain_has_no_faults(chain, tmp_path):
    assert list(faults(tmp_path)) == []
    assert set(lineage([chain[-1]])) == set(chain)


def test_a_seal_says_what_its_file_was_made_from(chain):
    assert list(seals.read_seal(chain[1])["made_from"]) == ["../../a/faces.csv"]


def test_a_changed_input_is_left_to_snakemake_while_it_is_the_newer_one(chain, tmp_path, monkeypatch):
    job(chain[0], "other faces", monkeypatch=monkeypatch)
    os.utime(chain[0], (2e9, 2e9))
    assert list(faults(tmp_path)) == []
    os.utime(chain[0], (1e9, 1e9))
    (found,) = faults(tmp_path)
    assert found.startswith(f"{chain[1]}: made from another {chain[0]} than the one that is there")
    with pytest.raises(
        InputError, match=r"ranks\.csv: made from another"
    ):  # whatever the dates, before a hash is given
        lineage([chain[-1]])


def test_what_was_made_from_a_file_that_is_gone_stands(chain, tmp_path):
    chain[0].unlink()
    assert list(faults(tmp_path)) == [] and chain[0] in lineage([chain[-1]])


@pytest.mark.parametrize("older", [None, "old"])
def test_a_kill_between_seal_and_renaming_is_found(tmp_path, monkeypatch, older):
    """Whatever lay there before: nothing, or an older file."""
    path, replace = tmp_path / "psr.csv", Path.replace
    if older:
        write_text(path, older)

    def killed(self: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert seal_of(path).exists() and path.exists() == bool(older)
    assert len(list(faults(tmp_path))) == bool(older)


def test_folders_are_sealed_file_by_file(tmp_path):
    with writing(tmp_path / "stored") as folder:
        (folder / "below").mkdir(parents=True)
        (folder / "below/a.jpg").write_bytes(b"a")
        (folder / "b.jpg").write_bytes(b"b")
    (tmp_path / "stored/.snakemake_timestamp").touch()
    assert list(faults(tmp_path)) == []
    (tmp_path / "stored/c.jpg").write_bytes(b"c")
    assert next(faults(tmp_path)).startswith(f"{tmp_path}/stored/c.jpg: added since")
    (tmp_path / "stored/c.jpg").unlink()
    (tmp_path / "stored/below/a.jpg").unlink()
    assert next(faults(tmp_path)).endswith(
        f"a.jpg: lost since it was written; delete the folder {tmp_path}/stored and run again"
    )


def test_what_has_a_seal_of_its_own_belongs_to_no_other(tmp_path):
    """A cell that was one folder and is now several parts below it."""
    for name in ("jpeg75", "jpeg75/part0"):
        with writing(tmp_path / "new") as folder:
            folder.mkdir()
            (folder / "a.jpg").write_bytes(name.encode())
        (tmp_path / "new").rename(tmp_path / name)
        seal_of(tmp_path / "new").rename(seal_of(tmp_path / name))
    assert list(faults(tmp_path)) == []


@pytest.mark.parametrize("content", ["", "{}", '{"files": 3, "made_from": {}, "facts": {}}', "\0", "[1]"])
def test_a_damaged_seal_is_named(chain, tmp_path, content):
    seal_of(chain[2]).write_text(content)
    with pytest.raises(InputError, match=r"table\.csv: its seal \.table\.csv\.seal is damaged"):
        intact(chain[2])
    assert len(list(faults(tmp_path))) == 1


def test_nothing_is_read_twice_unless_asked(chain, tmp_path, monkeypatch):
    assert list(faults(tmp_path)) == []
    monkeypatch.setattr(seals, "sha256", lambda path: "another")
    assert list(faults(tmp_path)) == []
    assert len(list(faults(tmp_path, thorough=True))) == 3
