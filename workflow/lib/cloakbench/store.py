"""Store: crafted faces as the files that a user would publish, and a manifest that tells whether they still are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.images import SUFFIX, encode, read_photo


def store(faces: np.ndarray, subjects: pd.DataFrame, storage: Mapping, directory: Path) -> pd.DataFrame:
    """Write (N, H, W, 3) uint8 faces into `directory`; the manifest has a row a face: subject, photo, file, sha256.

    Files are numbered by subject and photo: an identity's name never becomes a file's.
    """
    directory.mkdir(parents=True)
    rows = []
    keys = subjects[["subject", "photo"]].itertuples(index=False)
    for face, (subject, photo) in zip(tqdm(faces, desc="store", mininterval=1), keys, strict=True):
        name, data = f"{subject:05d}_{photo:02d}{SUFFIX[storage['format']]}", encode(face, storage)
        (directory / name).write_bytes(data)
        rows.append((subject, photo, name, hashlib.sha256(data).hexdigest()))
    return pd.DataFrame(rows, columns=["subject", "photo", "file", "sha256"])


def read_stored(directory: Path, file: str, digest: str) -> Image.Image:
    """A stored face. Raises InputError if the file is not, byte for byte, the one that was stored."""
    path = directory / file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_remedy(directory)}") from None
    if found != digest:
        raise InputError(f"{path}: changed since it was stored; {_remedy(directory)}")
    return read_photo(path)


def _remedy(directory: Path) -> str:
    return f"delete the folder {directory} and run the study again"
