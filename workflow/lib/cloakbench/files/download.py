"""Files fetched once from the network: whole, checked against their published hash, or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from cloakbench.errors import InputError

PAUSES = (1.0, 4.0, 10.0)  # seconds before the second, third and fourth try
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 1 << 20
HEADERS = {"User-Agent": "cloakbench (research; urllib)", "Accept-Encoding": "identity"}
LOCAL = "or put the path of a local copy into `weights:` instead"
PASSING = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    EOFError,
)


def fetch(url: str, destination: Path, sha256: str | None = None, md5: str | None = None) -> None:
    """Fetch an http(s) or file URL to `destination`, which appears only when complete and of the given hash.

    The body grows in `<destination>.part`; one left by an earlier failure is resumed where the server can do
    so, and fetched anew where it cannot or where the result is wrong. A destination that is right is kept.
    Raises InputError: no hash given, no network, an HTTP error, an HTML page instead of the file, a body that
    is cut off at every try, another hash.
    """
    wanted = {name: value.lower() for name, value in (("sha256", sha256), ("md5", md5)) if value}
    _check_request(url, wanted)
    if destination.is_file() and not _mismatch(destination, wanted):
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)  # of another hash: must not stay under the name if the fetch fails
    part = destination.with_name(f"{destination.name}.part")
    if not part.exists() or _mismatch(part, wanted):
        if _fetch_body(url, part) and _mismatch(part, wanted):  # the earlier part was of another file
            part.unlink()
            _fetch_body(url, part)
        if wrong := _mismatch(part, wanted):
            part.unlink()
            raise InputError(f"{url}: {wrong}: this is not the file that was asked for, nothing was kept")
    part.replace(destination)


def _check_request(url: str, wanted: dict[str, str]) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https", "file"} or not (parts.netloc or parts.scheme == "file"):
        raise InputError(f"{url}: not an http, https or file URL; use one, {LOCAL}")
    if not wanted:
        raise InputError(f"{url}: a URL needs the `sha256` (or `md5`) of its file, {LOCAL}")


def _mismatch(path: Path, wanted: dict[str, str]) -> str:
    """What is wrong with the file's hash, empty when nothing is."""
    for name, value in wanted.items():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        if found != value:
            return f"{name} is {found}, not {value}"
    return ""


def _fetch_body(url: str, part: Path) -> bool:
    """Fill `part` until it is as long as the server says, trying a few times; whether it was resumed."""
    pauses = iter(PAUSES)
    while True:
        try:
            return _fetch_once(url, part)
        except urllib.error.HTTPError as error:
            error.close()
            problem, lasting = f"the server answered {error.code} {error.reason}", _is_lasting(error.code)
            if error.code == 416:  # nothing follows the part, so it is of another file
                part.unlink(missing_ok=True)
        except PASSING as error:
            problem = " ".join(f"cannot be fetched ({getattr(error, 'reason', error)})".split())
            lasting = url.startswith("file:") or isinstance(error, http.client.InvalidURL)
        pause = next(pauses, None)
        if lasting or pause is None:
            raise InputError(f"{url}: {problem}; check the address and the network, {LOCAL}") from None
        time.sleep(pause)


def _is_lasting(code: int) -> bool:
    return code < 500 and code not in {408, 416, 429}


def _fetch_once(url: str, part: Path) -> bool:
    start = part.stat().st_size if part.exists() else 0
    headers = HEADERS | ({"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        content_range = answer.headers.get("Content-Range") or ""
        if answer.status != 206 or not content_range.startswith(f"bytes {start}-"):
            start = 0  # the server sends the whole file
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        first = answer.read(CHUNK)
        _refuse_page(url, answer.headers.get_content_type(), first if not start else b"")
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with bar, part.open("ab" if start else "wb") as file:
            while first:
                bar.update(file.write(first))
                first = answer.read(CHUNK)
    if total is not None and part.stat().st_size < total:
        raise EOFError(f"cut off after {part.stat().st_size:,} of {total:,} bytes")
    return start > 0


def _refuse_page(url: str, content_type: str, head: bytes) -> None:
    start = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if content_type == "text/html" or start.startswith((b"<!doctype", b"<html")):
        raise InputError(f"{url}: an HTML page came instead of the file (login, quota?); use a direct link, {LOCAL}")
