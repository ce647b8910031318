"""Drawn photos in another folder: the same photographs, moved or copied, or others?

Standard library only, for the rule files, which ask while they are parsed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from cloakbench.errors import InputError
from cloakbench.files.seals import read_seal, sha256


def not_drawn(tables: Iterable[Path], root: str, seals: Mapping[Path, dict] = MappingProxyType({})) -> str:
    """What lies below `root` otherwise than it was drawn, in a line; empty where nothing does.

    tables: subjects.csv and enrolment.csv, whose seals tell under which root they were drawn. Nothing is read where
    that is `root`, and nothing is said of a table that is not there or damaged: it is made anew, or refused, anyway.
    seals: those that were read before.
    """
    for table in tables:
        try:
            before = (seals.get(table) or read_seal(table))["facts"].get("root", root)
        except InputError:
            continue
        if before == root or not table.is_file():
            continue
        for file, digest in _photos(table):
            path = Path(root, file)
            if not path.is_file() or sha256(path) != digest:
                return f"{path}: is not the photo that was drawn from {before}"
    return ""


def _photos(table: Path) -> Iterable[tuple[str, str]]:
    """File and sha256 of the photos in a table that was written by `sample.write_photos`."""
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["sha256"]:
                yield row["file"].removeprefix("'"), row["sha256"]
