"""Which photos of a folder are copies, and how altered a copy may be to be known as one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps

from cloakbench.photos.copies import ALIKE, SAME_FACE, SAME_WHOLE, Copies, correlation, differing
from cloakbench.photos.datasets import Dataset
from cloakbench.photos.detectors import Detector
from cloakbench.photos.draw import examine
from cloakbench.photos.faces import Faces
from cloakbench.photos.images import read_photo
from cloakbench.photos.looks import looks
from cloakbench.photos.sample import Photo


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    picture.save(file := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def _resized(picture: Image.Image, scale: float, quality: int = 85) -> Image.Image:
    size = [round(scale * edge) for edge in picture.size]
    return _jpeg(picture.resize(size, Image.Resampling.BICUBIC), quality)


def _trimmed(picture: Image.Image) -> Image.Image:
    return ImageOps.crop(picture, round(0.02 * min(picture.size)))


ALTERED = {
    **{f"quality {q}": lambda picture, q=q: _jpeg(picture, q) for q in (95, 80, 50, 30)},
    **{f"{scale:.0%} of its size": lambda picture, s=scale: _resized(picture, s) for scale in (0.5, 0.75, 1.5)},
    "40% of its size, quality 70": lambda picture: _resized(picture, 0.4, 70),
    "5% brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.05),
    "5% darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.95),
    "2% less at each edge": _trimmed,
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
}


def passed_over(dataset: Dataset, detector: Detector) -> Iterator[Photo]:
    """The photos of a data set that a draw of all of them passes over, in the order of their names."""
    taken, faces = Copies(), Faces(lambda: detector)
    for identity in dataset.identities:
        for path in dataset.photos(identity):
            photo = examine(dataset.root, identity, path, faces, taken)
            if photo.passed_over:
                yield photo


def altered(paths: list[Path], detector: Detector) -> pd.DataFrame:
    """A row a kind of ALTERED: how many photos have a face, of how many copies are known, and what the farthest are.

    Columns: altered, photos, found, most_bits (of 144 that differ in the hash), least_whole and least_face
    (correlations of the whole photo and of its face).
    """
    rows: dict[str, list[tuple[int, float, float]]] = {name: [] for name in ALTERED}
    for path in paths:
        picture = read_photo(path)
        if (face := detector.find([picture])[0]) is None:
            continue
        look, _ = looks(picture, face)
        for name, alter in ALTERED.items():
            copy = alter(picture)
            if (face := detector.find([copy])[0]) is None:  # passed over for that
                continue
            other = looks(copy, face)[name == "mirrored"]
            bits = int(differing(look.hash[None], other.hash)[0])
            rows[name].append((bits, correlation(look.whole, other.whole), correlation(look.face, other.face)))
    return pd.DataFrame([_summary(name, np.array(measured)) for name, measured in rows.items() if measured])


def _summary(name: str, measured: np.ndarray) -> dict:
    bits, whole, face = measured.T
    found = (bits <= ALIKE) & (whole >= SAME_WHOLE) & (face >= SAME_FACE)
    return {
        "altered": name, "photos": len(measured), "found": int(found.sum()), "most_bits": int(bits.max()),
        "least_whole": round(whole.min(), 4), "least_face": round(face.min(), 4),
    }  # fmt: skip
