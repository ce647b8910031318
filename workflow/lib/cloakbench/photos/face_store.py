"""What was found in photos, by the sha256 of their bytes, on disk for every study that looks at them again.

A folder of text files to which lines are appended. Each process that finds something writes a file of its own, so that
jobs need no lock, on this machine or another's; whoever opens the folder reads them all. A line is

    <checksum> <sha256 of the photo> <JSON>

and is there once it was written, whatever becomes of the process; one that is torn or damaged is not there at all.
Standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from cloakbench.errors import InputError
from cloakbench.files.seals import replace_text

SUFFIX = ".lines"
ABOUT = "about.json"


class FaceStore:
    """Entries by digest; what other processes write while this one runs is not seen.

    In memory there is but the place of each line, some 250 bytes a photo.
    """

    def __init__(self, folder: Path, about: dict[str, Any]):
        """The store below `folder` for what depends on `about`: JSON, of which another value is another store."""
        text = json.dumps(about, sort_keys=True, indent=0)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._about, self._own = text, None
        self._places: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._read(path)

    def get(self, digest: str) -> dict[str, Any] | None:
        """What was put there for a photo, floats to the last bit."""
        if (place := self._places.get(bytes.fromhex(digest))) is None:
            return None
        with suppress(OSError):  # what another process has removed is not there
            path, start = place
            with path.open("rb") as file:
                file.seek(start)
                found, entry = _parsed(file.readline())
                return json.loads(entry) if found == bytes.fromhex(digest) else None
        return None

    def put(self, digest: str, entry: dict[str, Any]) -> None:
        """Append what was found in a photo. Raises InputError where that cannot be written."""
        content = f"{digest} {json.dumps(entry, separators=(',', ':'))}".encode()
        line = _checksum(content) + b" " + content + b"\n"
        try:
            self._own = self._own or self._opened()
            place = (Path(self._own.name), self._own.tell())
            if self._own.write(line) < len(line):  # unbuffered, and the disk became full within the line
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be written ({error.strerror}); make room or give access, and run again"
            ) from None
        self._places[bytes.fromhex(digest)] = place

    def _opened(self) -> IO[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_text(self.folder / ABOUT, self._about + "\n")  # for people
        return (self.folder / f"{uuid.uuid4().hex}{SUFFIX}").open("xb", buffering=0)

    def _read(self, path: Path) -> None:
        start = 0
        with suppress(OSError), path.open("rb") as file:
            for line in file:
                digest, _ = _parsed(line)
                if digest:
                    self._places[digest] = (path, start)
                start += len(line)


def _checksum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest()[:16].encode()


def _parsed(line: bytes) -> tuple[bytes, bytes]:
    """Digest and JSON of a line; empty where it is not what was written."""
    checksum, _, rest = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != _checksum(rest):
        return b"", b""
    digest, _, entry = rest.partition(b" ")
    return bytes.fromhex(digest.decode()), entry
