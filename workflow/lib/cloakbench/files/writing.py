"""Files that are complete or absent, and read only if they are what was written: everything is written beside its
name, sealed, and renamed when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cloakbench.errors import InputError
from cloakbench.files.seals import seal
from cloakbench.platforms import reserve


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, a file or a folder of the caller's making, renamed to it on success.

    What a killed job left under a temporary name is removed by the next one that writes the same output.
    Raises InputError where it cannot be written: the disk is full or read-only, the folder another user's.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.part"):
            _remove(leftover)
        yield temporary
        seal(path, temporary)
        if path.is_dir():  # os.replace cannot put a folder over one that holds files
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        if not _concerns(error, path):  # but something that was read meanwhile
            raise
        raise InputError(f"{path}: cannot be written ({error}); make room or give access, and run again") from error
    finally:
        _remove(temporary)


def _concerns(error: OSError, path: Path) -> bool:
    """Whether an error may have come about in writing `path`: it names no file, one beside it, or a folder above it."""
    if not isinstance(error.filename, str | Path):
        return True
    named = Path(error.filename)
    return path.parent in named.parents or named in path.parents


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def writing_faces(path: Path, count: int, shape: tuple[int, int], kind: type = np.uint8) -> Iterator[np.ndarray]:
    """A (count, *shape, 3) array to be filled, on disk from the start: memory does not grow with N."""
    with writing(path) as temporary:
        faces = np.lib.format.open_memmap(temporary, "w+", kind, (count, *shape, 3))
        reserve(temporary)  # on a full disk an error now, not a SIGBUS while the array is filled
        yield faces
        faces.flush()
