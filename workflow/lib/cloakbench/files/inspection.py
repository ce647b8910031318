"""Inspection: is a study's results folder still what was written, and made from what is there?

The workflow asks once a start, so that a study with a file that was damaged, edited, or left over from before what it
was made from stops with its name instead of being up to date. Standard library only, for the rule files.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloakbench.errors import InputError
from cloakbench.files.seals import (
    REMEDY,
    WHOLE,
    difference,
    intact,
    no_seal,
    read_seal,
    replace_text,
    seal_of,
    unsealed,
)

CHECKED = ".checked.json"  # of a results folder: what was found intact, at which sizes and times


def sealed(directory: Path) -> Iterator[Path]:
    """Everything that has a seal below `directory` and is there."""
    for folder, below, names in os.walk(directory):
        if owners := sorted(unsealed(name) for name in names if name.endswith(".seal")):
            there = {*below, *names}
            yield from (Path(folder, name) for name in owners if name in there)


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


@dataclass
class Inspection:
    """What was found below a results folder.

    faults: a line for everything that is not what was written, or was made from what has changed since. seals: of all
    that is intact, by its path. gone: files that something was made from and that are no longer there. moved: whether
    times no longer tell what was made after what: something has another one than when it was last looked at, or is
    older than what it was made from.
    """

    faults: list[str] = field(default_factory=list)
    seals: dict[Path, dict] = field(default_factory=dict)
    gone: set[Path] = field(default_factory=set)
    moved: bool = False


def faults(directory: Path, **options: Any) -> Iterator[str]:
    """The faults of `inspect`, which takes the same options."""
    yield from inspect(directory, **options).faults


def inspect(
    directory: Path, thorough: bool = False, left_over: Callable[[str, dict], bool] = lambda name, settings: False
) -> Inspection:
    """left_over: tells, by its path in the folder and the settings in its seal, of a file that the study no longer
    makes; it is nobody's business then.

    What has the size and time at which it was once found intact is not read again, unless `thorough`; and of what lies
    in a sealed folder, 100,000 pictures maybe, only the names are: who reads one compares it with the manifest. What
    was made from something else and is older than it is left to Snakemake, which makes it anew. What vanishes
    meanwhile, for somebody else works here, was not there.
    """
    checked, states, times, found = _read_checked(directory), {}, {}, Inspection()
    for path in sealed(directory):
        name = path.relative_to(directory).as_posix()
        try:
            content = read_seal(path)
            if left_over(name, content["settings"]):
                continue
            state, times[path] = _state(path, content), _time(path)
            known = checked.get(name, ["", ""])
            read = thorough or (known != state and WHOLE in content["files"])
            if fault := difference(path, content["files"], read):
                found.faults.append(fault)
                continue
        except InputError as error:
            if seal_of(path).exists():
                found.faults.append(str(error))
            continue
        except OSError as error:
            if os.path.lexists(error.filename):
                found.faults.append(f"{error.filename}: cannot be read ({error.strerror}); {REMEDY}")
            continue
        found.seals[path], states[name] = content, state
        found.moved |= known[0] == state[0] and known != state
    found.faults += _from_others(found, times)
    if states != checked:
        _write_checked(directory, states)
    return found


def _from_others(found: Inspection, times: Mapping[Path, int]) -> Iterator[str]:
    """Lines for what was made from something else than what is there; notes what is gone, and whether times tell."""
    bare = set()
    for path, content in found.seals.items():
        for source, digest in content["made_from"].items():
            origin = _origin(path, source)
            if origin in found.seals:
                if _is(found.seals, origin, digest):
                    found.moved |= times[path] < times[origin]
                elif times[path] >= times[origin]:
                    yield f"{path}: made from another {origin} than the one that is there; {REMEDY}"
            elif not origin.exists():
                found.gone.add(origin)
            elif not seal_of(origin).exists():
                bare.add(origin)
    yield from (no_seal(origin) for origin in sorted(bare))


def level(directory: Path, found: Inspection) -> None:
    """Where times no longer tell, give everything that was made from exactly what is there the same one: now.

    A copied folder has the times of its copying, a touched file that of its touching, and by these Snakemake would
    make again what the seals prove to be right. What was made from something else keeps its time.
    """
    if not found.moved:
        return
    now, states = time.time_ns(), {}
    for path, content in found.seals.items():
        with suppress(OSError):  # another user's, or a read-only disk: then the times count
            if all(_is(found.seals, _origin(path, source), used) for source, used in content["made_from"].items()):
                os.utime(_clock(path), ns=(now, now))
            states[path.relative_to(directory).as_posix()] = _state(path, content)
    _write_checked(directory, states)


def _is(seals: Mapping[Path, dict], origin: Path, digest: str) -> bool:
    return origin not in seals or seals[origin]["files"].get(WHOLE) == digest


def _origin(path: Path, source: str) -> Path:
    return Path(os.path.normpath(path.parent / source))


def _time(path: Path) -> int:
    return _clock(path).stat().st_mtime_ns


def _clock(path: Path) -> Path:
    """The file whose time Snakemake takes for that of `path`."""
    return timestamp if (timestamp := path / ".snakemake_timestamp").exists() else path


def _read_checked(directory: Path) -> dict[str, list[str]]:
    with suppress(OSError, ValueError):
        found = json.loads((directory / CHECKED).read_text(encoding="utf-8"))
        return {name: state for name, state in found.items() if isinstance(state, list)}  # an earlier version had none
    return {}


def _write_checked(directory: Path, states: Mapping[str, list[str]]) -> None:
    with suppress(OSError):  # on a read-only disk everything is read each time
        replace_text(directory / CHECKED, json.dumps(states))


def _state(path: Path, content: Mapping) -> list[str]:
    """What the seal says, and what shows a change without reading: the size and times of the file and the seal."""
    clock = _clock(path).stat()
    said = [content["files"].get(WHOLE), content["made_from"], content["settings"]]
    shown = [clock.st_size, clock.st_mtime_ns, seal_of(path).stat().st_mtime_ns]
    return [hashlib.sha256(repr(part).encode()).hexdigest()[:16] for part in (said, shown)]
