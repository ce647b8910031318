"""Files fetched once from the network: whole, checked against their published hash, or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.request
from pathlib import Path

from cloakbench.errors import InputError

TIMEOUT = 60.0  # seconds without a byte
HEADERS = {"User-Agent": "cloakbench (research; urllib)", "Accept-Encoding": "identity"}
LOCAL = "or put the path of a local copy into `weights:` instead"


def fetch(url: str, destination: Path, digest: str) -> None:
    """Fetch an http(s) or file URL to `destination`, which appears only when complete and of the hash `digest`, sha256
    or, where it is that long, md5. One that is right is kept.

    Raises InputError: no network, an error of the server, an HTML page instead of the file, another hash.
    """
    kind = "md5" if len(digest) == 32 else "sha256"
    if destination.is_file() and _hash(destination, kind) == digest:
        return
    if not url.startswith(("https://", "http://", "file://")):
        raise InputError(f"{url}: no address that can be fetched; accepted: https, http and file URLs, {LOCAL}")
    part = destination.with_name(f"{destination.name}.part")
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        request = urllib.request.Request(url, headers=HEADERS)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
        if (found := _hash(part, kind)) != digest:
            raise InputError(f"{url}: not the file asked for: {_unlike(part)}{kind} is {found}, not {digest}; {LOCAL}")
        part.replace(destination)
    except InputError:  # which is a ValueError
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # what urllib raises, URLError among it
        reason = " ".join(str(getattr(error, "reason", error) or error).split())
        code = getattr(error, "code", None)  # of an HTTPError
        problem = f"the server answered {code} {reason}" if code else f"cannot be fetched ({reason})"
        raise InputError(f"{url}: {problem}; check the address and the network, {LOCAL}") from None
    finally:
        part.unlink(missing_ok=True)


def _hash(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _unlike(path: Path) -> str:
    """What came instead of a checkpoint, where that can be seen."""
    with path.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    page = start.startswith((b"<!doctype", b"<html"))
    return "an HTML page came instead (login, quota?), " if page else ""
