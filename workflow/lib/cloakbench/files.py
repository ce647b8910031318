"""Files that are complete or absent: everything is written beside its name and renamed when it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cloakbench.errors import InputError


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, a file or a folder of the caller's making, renamed to it on success.

    What a killed job left under a temporary name is removed by the next one that writes the same output.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        _remove(leftover)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        if path.is_dir():  # os.replace cannot put a folder over one that holds files
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_faces(path: Path) -> np.ndarray:
    """The (N, size, size, 3) uint8 faces of a .npy file, left on disk until they are read. Raises InputError."""
    try:
        faces = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole .npy file of faces ({error})") from None
    if faces.ndim != 4 or faces.shape[3] != 3 or faces.dtype != np.uint8:
        raise InputError(f"{path}: {faces.dtype} {faces.shape} where uint8 (N, size, size, 3) is expected")
    return faces


@contextmanager
def writing_faces(path: Path, count: int, size: int) -> Iterator[np.ndarray]:
    """A (count, size, size, 3) uint8 array to be filled, on disk from the start: memory does not grow with N."""
    with writing(path) as temporary:
        faces = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, size, size, 3))
        yield faces
        faces.flush()
