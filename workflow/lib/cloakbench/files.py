"""Files that are complete or absent, and read only if they are what was written: everything is written beside its
name, sealed, and renamed when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloakbench.errors import InputError
from cloakbench.platforms import reserve
from cloakbench.seals import intact, seal


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


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV file of a study; options: pandas.read_csv's. Raises InputError if it is not what was written."""
    try:
        return pd.read_csv(intact(path), **options)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); delete it and run again") from None


def open_faces(path: Path) -> np.ndarray:
    """The (N, height, width, 3) uint8 faces of a .npy file, left on disk until they are read. Raises InputError."""
    try:
        faces = np.load(intact(path), mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole .npy file of faces ({error})") from None
    if faces.ndim != 4 or faces.shape[3] != 3 or faces.dtype != np.uint8:
        raise InputError(f"{path}: {faces.dtype} {faces.shape} where uint8 (N, height, width, 3) is expected")
    return faces


@contextmanager
def writing_faces(path: Path, count: int, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """A (count, *shape, 3) uint8 array to be filled, on disk from the start: memory does not grow with N."""
    with writing(path) as temporary:
        faces = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, *shape, 3))
        reserve(temporary)  # on a full disk an error now, not a SIGBUS while the array is filled
        yield faces
        faces.flush()
