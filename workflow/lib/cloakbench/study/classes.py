"""The class order of a softmax head, from a list or from VGGFace2's identity_meta.csv. Standard library only."""

from __future__ import annotations

from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.study.names import appearance, composed

META = "identity_meta.csv"
META_COLUMNS = ["Class_ID", "Name", "Sample_Num", "Flag", "Gender"]


def read_classes(path: Path) -> tuple[str, ...]:
    """The class order of a softmax head: one identity a line, unit 0 first; or VGGFace2's identity_meta.csv,
    known by its header, whose training identities are the classes in sorted order.

    Raises InputError with the line for a file that is missing, empty, not UTF-8, or names an identity twice.
    """
    lines = lines_of(path)
    if lines and _columns(lines[0])[0] == META_COLUMNS[0]:
        return training(path, flags_of(path, lines))
    # ./ and / are what `find` and `ls -d */` put around a folder's name
    names = [composed(line.strip("\ufeff").strip()).removeprefix("./").rstrip("/") for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise InputError(f"{path}: empty; expected one identity a line, in the order of the head's units")
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:  # left out, it would move every later unit
            raise InputError(f"{path}, line {number}: empty; expected one identity a line")
        _expect_new(name, number, first, path)
    return tuple(names)


def flags_of(path: Path, lines: list[str]) -> dict[str, bool]:
    """Class_ID to whether it is a training identity, of the lines of an identity_meta.csv."""
    if not lines or _columns(lines[0]) != META_COLUMNS:
        raise InputError(f"{path}, line 1: expected the header {', '.join(META_COLUMNS)}")
    flags: dict[str, bool] = {}
    first: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        # cut from both ends: only the name can hold commas, whether it is quoted or not
        class_id, _, rest = line.partition(",")
        fields = [field.strip() for field in rest.rsplit(",", 3)]
        class_id = class_id.strip().strip('"')
        if not class_id or len(fields) != 4 or not fields[1].isdecimal() or fields[2] not in ("0", "1"):
            raise InputError(f"{path}, line {number}: expected {', '.join(META_COLUMNS)}, with Flag 0 or 1")
        _expect_new(class_id, number, first, path)
        flags[class_id] = fields[2] == "1"
    return flags


def training(path: Path, flags: dict[str, bool]) -> tuple[str, ...]:
    classes = tuple(sorted(name for name, training in flags.items() if training))
    if not classes:
        raise InputError(f"{path}: no identity has Flag 1 (train)")
    return classes


def _columns(header: str) -> list[str]:
    return [column.strip().strip('"') for column in header.split(",")]


def _expect_new(name: str, number: int, first: dict[str, int], path: Path) -> None:
    """Two units for one identity, or an identity in both splits, is never meant; nor are two that look the same."""
    if (before := first.setdefault(appearance(name), number)) != number:
        shown = name if name.isprintable() and name == appearance(name) else ascii(name)
        raise InputError(f"{path}, line {number}: {shown} is on line {before} already")


def lines_of(path: Path) -> list[str]:
    """The lines of a UTF-8 file, with or without a byte order mark; bytes are split, for str.splitlines knows
    ends of lines that occur within names."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: not UTF-8 text") from None
        if b"\0" in line:
            raise InputError(f"{path}, line {number}: not UTF-8 text")
    return lines
