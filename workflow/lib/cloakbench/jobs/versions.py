"""What code a job runs, remembered: reading the library takes longer than all else at the start of Snakemake."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from cloakbench.files.seals import sha256
from cloakbench.jobs.private import own_folder
from cloakbench.study.code import Choice, Library


class Versions:
    """The versions that a `Library` gives, of which those are known that were asked for under the very same files, on
    this machine by this user. Where nothing can be remembered, or what is there is damaged, the files are read."""

    def __init__(self, root: Path, place: Path | None = None):
        self.library = Library(root)
        self.file: Path | None = None
        with suppress(OSError):
            self.file = own_folder(place) / f"code-{_hash(sys.version, _state(root))[:32]}.json"
        self.known = _read(self.file) if self.file else {}
        self.new = False  # whether there is anything to keep

    def version(self, start: Path | str, chosen: Choice | None = None) -> str:
        """As `Library.version`."""
        said = sha256(start) if isinstance(start, Path) else start
        asked = _hash(said, {registry: sorted(entries) for registry, entries in (chosen or {}).items()})
        if asked not in self.known:
            self.known[asked], self.new = self.library.version(start, chosen), True
        return self.known[asked]

    def keep(self) -> None:
        """Write down what was new. Of several processes that do so at once the last one's stays."""
        if not self.new or self.file is None:
            return
        part = self.file.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            try:
                part.write_text(json.dumps({"versions": self.known, "sha256": _hash(self.known)}))
                part.replace(self.file)
            finally:
                part.unlink(missing_ok=True)


def _state(root: Path) -> list[tuple[str, str]]:
    files = sorted(root.rglob("*.py"))
    return [(str(path.relative_to(root)), sha256(path)) for path in files]


def _hash(*what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _read(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_bytes())
        if _hash(kept["versions"]) == kept["sha256"]:
            return kept["versions"]
    return {}
