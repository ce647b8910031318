"""Seals: beside every finished output lies a hidden file that tells whether it still is what was written.

The seal of `psr.csv` is `.psr.csv.seal`, JSON of four parts: `files`, the sha256 of the file (of a folder: of each
file in it, by name); `made_from`, the sha256 of each sealed file that the job had read, by its path from there;
`settings`, what it was made with: the stage, which cell it is `of`, the code's hash and every setting that can change
its bytes; `facts`, what else the job said of itself. Whoever reads a file of a study takes it through `intact`.
Standard library only, for the sake of the rule files, which import `inspection`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloakbench.errors import InputError

WHOLE = "."  # the name of a plain file in its own seal: path / "." is path
REMEDY = "delete it and run again"
# what file managers, storage boxes and editors leave in any folder, beside hidden files; nobody's data
STRANGERS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "__macosx", "lost+found"}
_read: dict[Path, str] = {}  # a job is a process: what it has read until now is what its outputs are made from
_facts: dict[str, Any] = {}
_settings: dict[str, Any] = {}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note(**facts: Any) -> None:
    """Let the seals that this process writes from now on say more of how their files came about."""
    _facts.update(facts)


def made_with(settings: Mapping[str, Any]) -> None:
    """Let the seals that this process writes from now on say with which settings: a job begins, and what was read and
    noted before was another's."""
    for known in (_read, _facts, _settings):
        known.clear()
    _settings.update(settings)


def seal(path: Path, written: Path | None = None) -> None:
    """Write the seal of `path`, a file or folder that lies at `written` until it is renamed.

    The seal comes first and the renaming after it: a kill in between leaves a seal without its file, which is
    nothing, or beside an older file, which it does not fit.
    """
    written = written or path
    made_from = {os.path.relpath(source, path.parent.resolve()): digest for source, digest in sorted(_read.items())}
    content = {"files": _digests(written), "made_from": made_from, "settings": _settings, "facts": _facts}
    replace_text(seal_of(path), json.dumps(content, indent=0) + "\n")


def seal_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.seal")


def no_seal(path: Path) -> str:
    return f"{path}: not written by a study, or its seal {seal_of(path).name} is gone; {REMEDY}"


def unsealed(name: str) -> str:
    """The name of what the file called `name` is the seal of; empty if it is no seal."""
    return name[1:].removesuffix(".seal") if name.startswith(".") and name.endswith(".seal") else ""


def replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_seal(path: Path) -> dict[str, dict]:
    """The seal of `path`. Raises InputError if there is none or it is damaged."""
    try:
        content = json.loads(seal_of(path).read_text(encoding="utf-8"))
        content = {"settings": {}} | content  # an earlier version noted none
        return {key: dict(content[key]) for key in ("files", "made_from", "settings", "facts")}
    except FileNotFoundError:
        raise InputError(no_seal(path)) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: its seal {seal_of(path).name} is damaged; {REMEDY}") from None


def intact(path: Path) -> Path:
    """`path`, unless it is no longer what was written. Raises InputError."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    content = read_seal(path)["files"]
    if found := difference(path, content):
        raise InputError(found)
    if WHOLE in content:
        _read[path.resolve()] = content[WHOLE]
    return path


def difference(path: Path, written: dict[str, str], read: bool = True) -> str:
    """The first file that is not as it was written, in one line; empty where all are. read: else only names count."""
    found = _digests(path) if read else {name: written.get(name, "") for name in contents(path)}
    for name in sorted(written | found):
        if written.get(name) == found.get(name):
            continue
        if name not in written:
            return f"{path / name}: added since the folder was written; move it away or delete it, it alone"
        what = "changed" if name in found else "lost"
        remedy = REMEDY if name == WHOLE else f"delete the folder {path} and run again"
        return f"{path / name}: {what} since it was written; {remedy}"
    return ""


def _digests(path: Path) -> dict[str, str]:
    return {name: sha256(path / name) for name in contents(path)}


def contents(path: Path) -> list[str]:
    """What lies in a folder, by its path in it, but for hidden files, strangers' and what has a seal of its own."""
    if not path.is_dir():
        return [WHOLE]
    found, start = [], len(str(path)) + 1
    for folder, below, names in os.walk(path):
        foreign = {unsealed(name) for name in names} | {name for name in [*below, *names] if strange(name)}
        below[:] = [name for name in below if name not in foreign]
        prefix = f"{folder}/"[start:]
        found += [prefix + name for name in names if name not in foreign]
    return sorted(found)


def strange(name: str) -> bool:
    """Whether a file or folder of this name is hidden or somebody else's: it counts for nothing, whatever it holds."""
    return name.startswith(".") or name.endswith("~") or name.lower() in STRANGERS
