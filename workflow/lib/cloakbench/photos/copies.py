"""Copies: whether a photo is one that was taken before, with the same bytes or with others.

A messenger recompresses a picture, a gallery resizes it, a press agency sells it under two names. Attacked under one
name and enrolled under the other, such a picture is recognised by its pixels and not by who is on it.

Perceptual hashes of all photos are compared at once; the few that are alike are laid over each other. Of one identity
the whole photos decide: shots of one burst are copies too. Of two the faces have to be the same as well, for before a
fixed camera two people differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from cloakbench.photos.looks import SIZE, WORDS, Looks

ALIKE = 32  # of 144 bits; a photo that lost 2 % at each edge differs in up to 28. docs/copies.md has the counts
NEAREST = 8  # photos laid over one: before a fixed camera every photo is like every other
# correlations, once laid over each other: copies lie above, all else below
SAME_SCENE = 0.99  # of the whole photos of one identity
SAME_WHOLE, SAME_FACE = 0.992, 0.985  # of those of two, and of their faces
STEPS = 15

_HALF = (SIZE - 1) / 2
_Y, _X = np.mgrid[:SIZE, :SIZE] - _HALF  # pixels from the middle
_INNER = np.s_[3:-3, 3:-3]  # what still lies in the other picture when the two are moved against each other


def differing(hashes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In how many bits each of (N, 3) hashes differs from another one."""
    return sum(np.bitwise_count(hashes ^ other).T.astype(np.int64))  # of three terms: a sum along an axis takes longer


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
    """Remembers the photos that were taken, 2.1 kB each, and knows a copy of one of them, mirrored or not."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._files: list[str] = []
        self._hashes = bytearray()  # grows in place, so that all hashes are one array
        self._pictures: list[tuple[str, np.ndarray, np.ndarray]] = []  # identity, whole and face

    def take(self, identity: str, file: str, digest: str, both: Looks) -> str:
        """Remember an identity's photo and return "", or say which one taken before it is a copy of, and do not.

        digest: of the file's bytes. both: what `looks` makes of the photo.
        """
        if digest in self._digests:
            return f"same picture as {self._digests[digest]}"
        upright, _ = both
        if alike := list(self._alike(identity, both)):
            return f"nearly the same picture as {self._files[max(alike)[1]]}"
        self._digests[digest] = file
        self._files.append(file)
        self._hashes += upright.hash.tobytes()
        self._pictures.append((identity, upright.whole, upright.face))
        return ""

    def _alike(self, identity: str, looks: Looks) -> Iterator[tuple[float, int]]:
        """Likeness and index of the photos taken that one of the looks is a copy of."""
        hashes = np.frombuffer(self._hashes, "<u8").reshape(-1, WORDS)
        for look in looks:
            distances = differing(hashes, look.hash)
            near = np.flatnonzero(distances <= ALIKE)
            for index in near[np.argsort(distances[near], kind="stable")][:NEAREST]:
                whose, whole, face = self._pictures[index]
                likeness = correlation(whole, look.whole)
                if likeness >= SAME_SCENE and (whose == identity or same_picture(likeness, face, look.face)):
                    yield likeness, int(index)


def same_picture(likeness: float, face: np.ndarray, other: np.ndarray) -> bool:
    """Whether two photos whose wholes correlate by `likeness` show one face, (32, 32) each, at one moment."""
    return likeness >= SAME_WHOLE and correlation(face, other) >= SAME_FACE
