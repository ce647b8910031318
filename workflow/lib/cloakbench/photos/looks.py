"""What is remembered of a photo to know its copies by: a hash and two thumbnails, as private as the photo is."""

from __future__ import annotations

import base64
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image, ImageOps

from cloakbench.errors import InputError
from cloakbench.photos.detectors import Detection

HASH = 12  # the hash keeps 12 x 12 frequencies; with 8 x 8 thousands of LFW's pairs are alike, 16 x 16 feel a crop
SIZE = 32  # pixels: so few that a face of 40 pixels is as sharp as one of 400
MARGIN = 0.3  # around the face box
WORDS = -(-HASH * HASH // 64)  # of 64 bits in a hash


class Look(NamedTuple):
    """A photo's hash, 144 bits in (3,) uint64; the whole of it and its face, (32, 32) uint8 grey levels each."""

    hash: np.ndarray
    whole: np.ndarray
    face: np.ndarray


Looks = tuple[Look, Look]  # as it is and mirrored


def looks(picture: Image.Image, face: Detection) -> Looks:
    """An RGB photo with its face. Raises InputError if the face box lies outside the photo."""
    if fault := face.fault(picture.size):
        raise InputError(fault)
    grey = picture.convert("L")
    shown = np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=_around(face, picture.size)))
    side = 4 * HASH  # what phash itself would resize to
    small = grey.resize((side, side), Image.Resampling.LANCZOS)
    whole = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return _both(_hash(small), _hash(ImageOps.mirror(small)), whole, shown)


def packed(both: Looks) -> str:
    """The looks of a photo as text of 2.8 kB."""
    upright, mirrored = both
    parts = (upright.hash, mirrored.hash, upright.whole, upright.face)
    return base64.b64encode(b"".join(part.tobytes() for part in parts)).decode("ascii")


def unpacked(text: str) -> Looks:
    """The looks that `packed` wrote, to the last bit."""
    content, hashes = base64.b64decode(text), 2 * 8 * WORDS
    pictures = np.frombuffer(content[hashes:], np.uint8).reshape(2, SIZE, SIZE)
    return _both(*np.frombuffer(content[:hashes], "<u8").reshape(2, WORDS), *pictures)


def _both(upright: np.ndarray, mirrored: np.ndarray, whole: np.ndarray, face: np.ndarray) -> Looks:
    return Look(upright, whole, face), Look(mirrored, whole[:, ::-1], face[:, ::-1])


def _hash(small: Image.Image) -> np.ndarray:
    bits = np.packbits(imagehash.phash(small, HASH).hash.ravel())
    return np.frombuffer(bits.tobytes().ljust(8 * WORDS, b"\0"), "<u8")


def _around(face: Detection, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The face box and MARGIN of it, within a photo of `size`; not by `crops`, whose edits would detect all anew."""
    left, top, right, bottom = face.box
    across, down = MARGIN * (right - left) / 2, MARGIN * (bottom - top) / 2
    return max(left - across, 0.0), max(top - down, 0.0), min(right + across, size[0]), min(bottom + down, size[1])
