"""Inspection: is a study's results folder still what was written, and made from what is there?

The workflow asks while it is parsed, so that a study with a file that was damaged, edited, or left over from before
what it was made from stops with its name instead of being up to date. Standard library only, for the rule files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.seals import REMEDY, WHOLE, contents, difference, intact, read_seal, replace_text, seal_of, unsealed

CHECKED = ".checked.json"  # of a results folder: what was found intact, at which sizes and times


def sealed(directory: Path) -> Iterator[Path]:
    """Everything that has a seal below `directory` and is there."""
    for folder, below, names in os.walk(directory):
        there = {*below, *names}
        yield from (Path(folder, name) for name in sorted(map(unsealed, names)) if name in there)


def lineage(paths: Iterable[Path]) -> dict[Path, str]:
    """Every file that went into `paths`, themselves included, and its sha256.

    One that is gone counts by what was made from it. Raises InputError for a file that is no longer what was
    written, or no longer what something else was made from.
    """
    waiting, found = [(path, read_seal(path)["files"][WHOLE]) for path in paths], {}
    while waiting:
        path, digest = waiting.pop()
        if path in found:
            continue
        found[path] = digest
        if path.exists():
            intact(path)
        if not seal_of(path).exists():
            continue
        for source, used in read_seal(path)["made_from"].items():
            origin = Path(os.path.normpath(path.parent / source))
            if origin.exists() and read_seal(origin)["files"].get(WHOLE) != used:
                raise InputError(f"{path}: made from another {origin} than the one that is there; {REMEDY}")
            waiting.append((origin, used))
    return found


def faults(
    directory: Path, thorough: bool = False, left_over: Callable[[str, dict], bool] = lambda name, settings: False
) -> Iterator[str]:
    """A line for everything below `directory` that is not what was written, or was made from what has changed since.

    left_over: tells, by its path in it and the settings in its seal, of a file that the study no longer makes; it is
    nobody's business then.
    What has the size and time at which it was once found intact is not read again, unless `thorough`. What is older
    than what it was made from is left to Snakemake, which makes it anew.
    """
    checked = {} if thorough else _read_checked(directory)
    states, seals = {}, {}
    for path in sealed(directory):
        name = path.relative_to(directory).as_posix()
        try:
            content, state = read_seal(path), _state(path)
            if left_over(name, content["settings"]):
                continue
            found = "" if checked.get(name) == state else difference(path, content["files"])
        except (InputError, OSError) as error:
            found = str(error)
        if found:
            yield found
        else:
            seals[path], states[name] = content, state
    yield from _stale(seals)
    if states != checked:
        with suppress(OSError):  # on a read-only disk everything is read each time
            replace_text(directory / CHECKED, json.dumps(states))


def _read_checked(directory: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        return dict(json.loads((directory / CHECKED).read_text(encoding="utf-8")))
    return {}


def _state(path: Path) -> str:
    """What shows a change without reading: names, sizes and times of the files and of the seal."""
    facts = [(name, found.st_size, found.st_mtime_ns) for name in contents(path) for found in [(path / name).stat()]]
    return hashlib.sha256(repr([seal_of(path).stat().st_mtime_ns, *facts]).encode()).hexdigest()


def _stale(seals: dict[Path, dict]) -> Iterator[str]:
    for path, content in seals.items():
        for source, digest in content["made_from"].items():
            origin = Path(os.path.normpath(path.parent / source))
            if origin not in seals or seals[origin]["files"].get(WHOLE) == digest:
                continue
            if _time(path, content) >= _time(origin, seals[origin]):
                yield f"{path}: made from another {origin} than the one that is there; {REMEDY}"


def _time(path: Path, content: dict) -> int:
    return max(((path / name).stat().st_mtime_ns for name in content["files"]), default=0)
