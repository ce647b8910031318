"""Photographs by identity: who is in a data set, which photos there are, without opening one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.images import PHOTO_SUFFIXES


@dataclass(frozen=True)
class Dataset:
    """identities: sorted names. photos(identity): sorted paths, listed when asked for, so that drawing a few
    subjects from millions of photographs does not read every folder."""

    root: Path
    identities: tuple[str, ...]
    photos: Callable[[str], list[Path]]


def folder(root: Path) -> Dataset:
    """<root>/<identity>/<photo>. Raises InputError if the folder is missing, empty or flat."""
    if not root.is_dir():
        raise InputError(f"dataset.root: {root} is not a folder; expected <root>/<identity>/<photo>")
    identities = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir()))
    if not identities:
        loose = any(entry.suffix.lower() in PHOTO_SUFFIXES for entry in root.iterdir())
        found = "photos but no identity folders" if loose else "no identity folders"
        raise InputError(f"dataset.root: {root} holds {found}; expected <root>/<identity>/<photo>")
    return Dataset(root, identities, lambda identity: _photos(root / identity))


def _photos(directory: Path) -> list[Path]:
    """Every file but hidden ones: a file that is no photo is passed over with a reason, not silently."""
    return sorted(entry for entry in directory.iterdir() if entry.is_file() and not entry.name.startswith("."))


LOADERS: dict[str, Callable[[Path], Dataset]] = {"folder": folder, "synthetic": folder}
