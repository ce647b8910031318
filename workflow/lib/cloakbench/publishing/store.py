"""Store: crafted faces as the files that a user would publish, and a manifest that tells whether they still are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import PIL
from PIL import Image
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.photos.images import read_photo


def store(faces: np.ndarray, subjects: pd.DataFrame, storage: Mapping, directory: Path) -> pd.DataFrame:
    """Write (N, H, W, 3) uint8 faces into `directory`; the manifest has a row a face: subject, photo, file, sha256.

    Files are numbered by subject and photo: an identity's name never becomes a file's.
    """
    directory.mkdir(parents=True)
    rows = []
    keys = subjects[["subject", "photo"]].itertuples(index=False)
    for face, (subject, photo) in zip(tqdm(faces, desc="store", mininterval=1), keys, strict=True):
        name, data = f"{subject:05d}_{photo:02d}{FORMATS[storage['format']].suffix}", encode(face, storage)
        (directory / name).write_bytes(data)
        rows.append((subject, photo, name, hashlib.sha256(data).hexdigest()))
    return pd.DataFrame(rows, columns=["subject", "photo", "file", "sha256"])


SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def encode(face: np.ndarray, storage: Mapping) -> bytes:
    """A (H, W, 3) uint8 face as the bytes of a file. storage: `format`, a key of FORMATS, with what it reads, and maybe
    `resize`, the height in pixels to bring the face to before.

    >>> face = np.full((8, 8, 3), 128, np.uint8)
    >>> encode(face, {"format": "png"})[1:4]
    b'PNG'
    """
    seals.note(pillow=PIL.__version__)
    picture, file = Image.fromarray(face), io.BytesIO()
    if storage.get("resize"):
        width, height = picture.size  # of an upright face too the proportions stay
        size = (round(storage["resize"] * width / height), storage["resize"])
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    FORMATS[storage["format"]].save(picture, file, storage)
    return file.getvalue()


class Format(NamedTuple):
    """suffix: of file names. save: write a picture into a file as the storage says."""

    suffix: str
    save: Callable[[Image.Image, io.BytesIO, Mapping], None]


def save_jpeg(picture: Image.Image, file: io.BytesIO, storage: Mapping) -> None:
    picture.save(file, "JPEG", quality=storage["quality"], subsampling=SUBSAMPLING[storage["subsampling"]])


def save_webp(picture: Image.Image, file: io.BytesIO, storage: Mapping) -> None:
    picture.save(file, "WEBP", quality=storage["quality"])


def save_png(picture: Image.Image, file: io.BytesIO, storage: Mapping) -> None:
    picture.save(file, "PNG")


FORMATS = {
    "jpeg": Format(".jpg", save_jpeg),
    "webp": Format(".webp", save_webp),
    "png": Format(".png", save_png),
}


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
