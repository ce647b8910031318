"""What code a job runs is remembered from start to start, and never otherwise than it would be read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest

from cloakbench.jobs.private import own_folder
from cloakbench.jobs.versions import Versions
from cloakbench.study.code import Library
from conftest import ROOT

CHOSEN = {"photos.datasets.LOADERS": ("lfw",)}


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="v") as folder:
        yield Path(folder)


@pytest.fixture
def root(tmp_path) -> Path:
    return Path(shutil.copytree(ROOT / "workflow/lib", tmp_path / "lib"))


def asked(
    root: Path, place: Path, start: Path | str = "cloakbench.photos.datasets.LOADERS", chosen=CHOSEN
) -> tuple[str, int]:
    """The version, and how many definitions had to be read for it, in a process that remembers nothing by itself."""
    with patch.object(Library, "reached", autospec=True, side_effect=Library.reached) as reached:
        versions = Versions(root, place)
        found = versions.version(start, chosen)
        assert versions.version(start, {name: reversed(entries) for name, entries in chosen.items()}) == found
    versions.keep()
    return found, reached.call_count


def test_a_version_is_read_once(root, place):
    script = ROOT / "scripts/craft.py"
    for start, chosen in (("cloakbench.photos.datasets.LOADERS", CHOSEN), (script, {}), (script, CHOSEN)):
        wanted = Library(root).version(start, chosen)
        assert [asked(root, place, start, chosen) for _ in range(3)] == [(wanted, 1), (wanted, 0), (wanted, 0)]
    (kept,) = own_folder(place).iterdir()
    assert kept.suffix == ".json"


def test_any_change_of_any_file_forgets(root, place):
    first = asked(root, place)
    path = root / "cloakbench/photos/datasets.py"
    text = path.read_text()
    path.write_text(f"{text}\nLOADERS['more'] = None\n")
    wanted = Library(root).version("cloakbench.photos.datasets.LOADERS", CHOSEN)
    assert asked(root, place) == (wanted, 1) and wanted != first[0]
    path.write_text(text)
    assert asked(root, place) == (first[0], 0), "as it was before"
    (root / "cloakbench/more.py").touch()
    assert asked(root, place)[1] == 1
    path.rename(path.with_name("sets.py"))
    with pytest.raises(ValueError, match="no such definition"):
        asked(root, place, "cloakbench.photos.datasets.LOADERS")


def test_another_script_and_other_entries_are_told_apart(root, place, tmp_path):
    script = tmp_path / "job.py"
    found = set()
    for text, chosen in (
        ("lfw", {}),
        ("lfw", CHOSEN),
        ("lfw", {"photos.datasets.LOADERS": ("folder",)}),
        ("other", {}),
    ):
        script.write_text(f"from cloakbench.photos.datasets import LOADERS\nLOADERS[{text!r}]\n")
        found.add(asked(root, place, script, chosen))
    assert len(found) == 4 and {count for _, count in found} == {1}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"versions": {}, "sha256": "0"}', "halved", "another version"])
def test_what_is_damaged_is_read_anew(root, place, damage):
    wanted, _ = asked(root, place)
    (kept,) = own_folder(place).iterdir()
    text = kept.read_text()
    kept.write_text(
        {"halved": text[: len(text) // 2], "another version": text.replace(wanted, "0" * 64)}.get(damage, damage)
    )
    assert [asked(root, place), asked(root, place)] == [(wanted, 1), (wanted, 0)]


def test_without_a_place_nothing_is_lost(root, place):
    (place / "file").touch()
    wanted = Library(root).version("cloakbench.photos.datasets.LOADERS", CHOSEN)
    assert [asked(root, place / "file"), asked(root, place / "file")] == [(wanted, 1), (wanted, 1)]
    folder = own_folder(place)
    with patch.object(Path, "write_text", side_effect=OSError(28, "No space left on device")):
        assert asked(root, place) == (wanted, 1)
    assert not [*folder.iterdir()]
