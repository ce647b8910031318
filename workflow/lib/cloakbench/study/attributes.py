"""What a user knows of the people in the photographs: a CSV file of categories. Standard library only, for the rule
files, which refuse a file that says nothing before any work."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cloakbench.errors import InputError
from cloakbench.study.classes import lines_of
from cloakbench.study.names import appearance, composed

WHO = ("identity", "file")  # columns of subjects.csv, of which one says whom or what a row is about
# what is measured of every photograph, and of a target's eyes for it: no attribute may be called so
PROPERTIES = ("height", "confidence", "brightness", "contrast", "sharpness", "yaw")
MARGIN = "margin"
EXPECTED = "expected a header with identity or file, as in subjects.csv, and one or more columns of categories"
SHOWN = 60  # characters of a name in a message


class Attributes(NamedTuple):
    """who: which column of subjects.csv the rows go by; names: of the categories' columns; rows: by identity or file,
    the value of each, empty where it is not known."""

    who: str
    names: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]


def read_attributes(path: Path) -> Attributes:
    """A file of attributes, comma-separated UTF-8 with a header.

    Raises InputError, with the line where there is one, for a file that is missing, no text or empty, for columns that
    are missing, unnamed, doubled or called as a property is, and for a row of other length or about nobody, or about
    somebody who has one already.
    """
    try:
        table = list(csv.reader(lines_of(path), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: no comma-separated values ({error}); {EXPECTED}") from None
    if not table:
        raise InputError(f"{path}: empty; {EXPECTED}")
    header, rows = [name.strip() for name in table[0]], table[1:]
    who = _who(path, header)
    found, first = {}, {}
    for number, row in enumerate(rows, 2):
        if not any(field.strip() for field in row):
            continue
        if len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} fields under {len(header)} columns")
        named = dict(zip(header, map(str.strip, row), strict=True))
        name = composed(named.pop(who))
        if not name:
            raise InputError(f"{path}, line {number}: no {who}; leave the row out, or say whom it is about")
        if (before := first.setdefault(appearance(name), number)) != number:
            raise InputError(f"{path}, line {number}: {shown(name)} is on line {before} already")
        found[name] = tuple(named.values())
    if not found:
        raise InputError(f"{path}: a header and no rows; expected a row for each {who}")
    return Attributes(who, tuple(name for name in header if name != who), found)


def _who(path: Path, header: Sequence[str]) -> str:
    """The column that says whom the rows are about, of a header that is all right."""
    there = [name for name in WHO if name in header]
    wrong = next((name for name in header if header.count(name) > 1 or not name[:1].isalnum()), None)
    if not there or len(header) == 1:
        raise InputError(f"{path}, line 1: {shown(', '.join(header))}; {EXPECTED}")
    if len(there) > 1:
        raise InputError(f"{path}, line 1: both identity and file; keep the one that the rows go by")
    if wrong is not None:
        raise InputError(f"{path}, line 1: column {shown(wrong)}; every column needs a name of its own")
    if taken := {*header} & {*PROPERTIES, MARGIN}:
        raise InputError(f"{path}, line 1: {min(taken)} is measured by the study itself; call the column otherwise")
    return there[0]


def shown(text: str) -> str:
    """Text from a file as a message shows it: not too long, and nothing that a terminal would obey."""
    return ascii(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
