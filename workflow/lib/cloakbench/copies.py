"""Copies: whether a photo is one that was taken before, with the same bytes or with others.

A messenger recompresses a picture, a gallery resizes it, a press agency sells it under two names. Attacked under one
name and enrolled under the other, such a picture is recognised by its pixels and not by who is on it.

Perceptual hashes of all photos are compared at once; the few that are alike are laid over each other. Of one identity
the whole photos decide: shots of one burst are copies too. Of two the faces have to be the same as well, for before a
fixed camera two people differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image, ImageOps

from cloakbench.crops import cut
from cloakbench.detectors import Detection

HASH = 12  # the hash keeps 12 x 12 frequencies; with 8 x 8 thousands of LFW's pairs are alike, 16 x 16 feel a crop
ALIKE = 32  # of 144 bits; a photo that lost 2 % at each edge differs in up to 28. docs/copies.md has the counts
NEAREST = 8  # photos laid over one: before a fixed camera every photo is like every other
SIZE = 32  # pixels: so few that a face of 40 pixels is as sharp as one of 400
MARGIN = 0.3  # around the face box
# correlations, once laid over each other: copies lie above, all else below
SAME_SCENE = 0.99  # of the whole photos of one identity
SAME_WHOLE, SAME_FACE = 0.992, 0.985  # of those of two, and of their faces
STEPS = 15

_HALF = (SIZE - 1) / 2
_Y, _X = np.mgrid[:SIZE, :SIZE] - _HALF  # pixels from the middle
_INNER = np.s_[3:-3, 3:-3]  # what still lies in the other picture when the two are moved against each other


class Look(NamedTuple):
    """What is remembered of a photo: its hash, (144,) float32 of -1 and 1; the whole of it and its face, (32, 32)
    uint8 grey levels each."""

    hash: np.ndarray
    whole: np.ndarray
    face: np.ndarray


def looks(picture: Image.Image, face: Detection) -> tuple[Look, Look]:
    """An RGB photo with its face, as it is and mirrored. Raises InputError if the face box lies outside the photo."""
    grey = picture.convert("L")
    shown = cut(grey, face, {"size": SIZE, "margin": MARGIN})
    side = 4 * HASH  # what phash itself would resize to
    small = grey.resize((side, side), Image.Resampling.LANCZOS)
    whole = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return Look(_hash(small), whole, shown), Look(_hash(ImageOps.mirror(small)), whole[:, ::-1], shown[:, ::-1])


def _hash(small: Image.Image) -> np.ndarray:
    return np.where(imagehash.phash(small, HASH).hash.ravel(), np.float32(1), np.float32(-1))


def correlation(picture: np.ndarray, other: np.ndarray) -> float:
    """Correlation, -1..1, of two pictures (32, 32) after the other was moved, scaled and turned to lie over the first.

    A copy may have lost its border, and detectors place their boxes a few percent apart on two copies. Gauss-Newton
    finds the affine map W and the gain and offset that make ||gain other(W x) + offset - picture||^2 least (Lucas and
    Kanade, 1981).
    """
    wanted, moving = _normalised(picture[_INNER]), Image.fromarray(np.ascontiguousarray(other, np.float32))
    x, y = _X[_INNER].ravel(), _Y[_INNER].ravel()
    best, warp = -1.0, np.eye(3)
    for _ in range(STEPS):
        moved = _moved(moving, warp)
        found = _normalised(moved[_INNER])
        reached = float(wanted @ found) / len(found)
        if reached < best + 1e-5:
            return max(best, reached)
        best = reached
        by_y, by_x = (slope[_INNER].ravel() / max(moved[_INNER].std(), 1.0) for slope in np.gradient(moved))
        slopes = np.stack((by_x * x, by_x * y, by_x, by_y * x, by_y * y, by_y, found, np.ones_like(found)), axis=1)
        step = np.linalg.lstsq(slopes, wanted - found, rcond=None)[0]
        warp = warp @ (np.eye(3) + np.vstack((step[:6].reshape(2, 3), np.zeros(3))))
    return best


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """As a vector of mean 0 and, unless all pixels are equal, standard deviation 1."""
    values = pixels.ravel().astype(np.float64)
    return (values - values.mean()) / max(values.std(), 1.0)


def _moved(picture: Image.Image, warp: np.ndarray) -> np.ndarray:
    """picture(W x), where `warp` (3, 3) maps pixels, counted from the middle, to pixels of the picture."""
    middle = np.array((_HALF + 0.5, _HALF + 0.5))  # Pillow counts from the corner of the first pixel
    turn, shift = warp[:2, :2], warp[:2, 2] + middle - warp[:2, :2] @ middle
    rows = np.column_stack((turn, shift)).ravel()
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, rows.tolist(), Image.Resampling.BICUBIC))


class Copies:
    """Remembers the photos that were taken, 2.6 kB each, and knows a copy of one of them, mirrored or not."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._files: list[str] = []
        self._hashes = bytearray()  # grows in place, so that all hashes are one array
        self._pictures: list[tuple[str, np.ndarray, np.ndarray]] = []  # identity, whole and face

    def take(self, identity: str, file: str, digest: str, picture: Image.Image, face: Detection) -> str:
        """Remember an identity's photo and return "", or say which one taken before it is a copy of, and do not.

        digest: of the file's bytes. picture and face: as in `looks`, which may raise InputError.
        """
        if digest in self._digests:
            return f"same picture as {self._digests[digest]}"
        upright, mirrored = looks(picture, face)
        if alike := list(self._alike(identity, upright, mirrored)):
            return f"nearly the same picture as {self._files[max(alike)[1]]}"
        self._digests[digest] = file
        self._files.append(file)
        self._hashes += upright.hash.tobytes()
        self._pictures.append((identity, upright.whole, upright.face))
        return ""

    def _alike(self, identity: str, *looks: Look) -> Iterator[tuple[float, int]]:
        """Likeness and index of the photos taken that one of the looks is a copy of."""
        bits = HASH * HASH
        hashes = np.frombuffer(self._hashes, np.float32).reshape(-1, bits)
        differing = (bits - hashes @ np.stack([look.hash for look in looks], axis=1)) / 2
        for look, distances in zip(looks, differing.T, strict=True):
            near = np.flatnonzero(distances <= ALIKE)
            for index in near[np.argsort(distances[near], kind="stable")][:NEAREST]:
                whose, whole, face = self._pictures[index]
                likeness = correlation(whole, look.whole)
                if likeness >= SAME_SCENE and (whose == identity or same_picture(likeness, face, look.face)):
                    yield likeness, int(index)


def same_picture(likeness: float, face: np.ndarray, other: np.ndarray) -> bool:
    """Whether two photos whose wholes correlate by `likeness` show one face, (32, 32) each, at one moment."""
    return likeness >= SAME_WHOLE and correlation(face, other) >= SAME_FACE
