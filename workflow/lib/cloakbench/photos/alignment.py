"""Alignment: a face turned, scaled and shifted so that its five points come to lie on a recogniser's template.

A point is a complex number x + iy. The similarity p -> a p + t that brings points s to places d with the least sum of
squared distances is, with mean values s' and d',

    a = sum conj(s - s') (d - d') / sum |s - s'|^2,    t = d' - a s'

It is Umeyama's (1991) without reflection. Pixels are read between their neighbours, as OpenCV's warpAffine does with
INTER_LINEAR and a border of zeros. Nothing is averaged where a face is made smaller, nor was it when these recognisers
were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from cloakbench.errors import InputError


class Template(NamedTuple):
    """Where the five points lie in a picture of `width` x `height` pixels, the order and axes of Detection.points."""

    width: int
    height: int
    points: tuple[tuple[float, float], ...]


# of dlib's mean face, whose eyes, nose and mouth lie in a square of side 1
DLIB = ((0.2265, 0.2157), (0.7537, 0.2157), (0.4901, 0.5156), (0.2541, 0.7802), (0.7261, 0.7802))
ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
TEMPLATES = {
    # insightface's face_align.py
    "arcface": Template(112, 112, ARCFACE),
    # the older one of SphereFace and CosFace: the same face, 8 pixels less on either side
    "arcface96": Template(96, 112, tuple((x - 8, y) for x, y in ARCFACE)),
    # dlib's get_face_chip_details(size=150, padding=0.25): a quarter of the square's side is left free around it. dlib
    # fits 5 or 68 landmarks of its own there, these are their counterparts among five points
    "dlib": Template(150, 150, tuple((150 * (x + 0.25) / 1.5, 150 * (y + 0.25) / 1.5) for x, y in DLIB)),
}


def template(name: str, height: int) -> Template:
    """The template for pictures of `height` pixels.

    Points grow with the height. By insightface's rule `arcface` of a multiple of 128 pixels shows more at the sides:
    the face is as large as height / 128 makes it, and moved to the middle.
    Raises InputError for an unknown name and for a height that leaves no whole width.
    """
    if name not in TEMPLATES:
        raise InputError(f"align: no template {name!r}; known: {', '.join(TEMPLATES)}")
    width, full, points = TEMPLATES[name]
    if height * width % full:
        raise InputError(f"align: {name} is {width} x {full}; {height} pixels of height leave no whole width")
    rule = 128 if name == "arcface" and height % 128 == 0 and height % full else full
    scale, aside = height / rule, (rule - full) / 2
    return Template(height * width // full, height, tuple(((x + aside) * scale, y * scale) for x, y in points))


def similarity(points: Sequence[Sequence[float]], places: Sequence[Sequence[float]]) -> tuple[complex, complex]:
    """a and t of the similarity p -> a p + t that brings (n, 2) points closest to (n, 2) places.

    Raises InputError for points that none brings there: all in one place, or not finite.
    """
    s, d = (np.asarray(pairs, np.float64) @ (1, 1j) for pairs in (points, places))
    s_mean, d_mean = s.mean(), d.mean()
    spread = (abs(s - s_mean) ** 2).sum()
    a = (np.conj(s - s_mean) * (d - d_mean)).sum() / spread if spread > 0 else 0.0
    if not np.isfinite(a) or abs(a) < 1e-6:
        raise InputError("the five points of the face lie in one place or are no face's")
    return complex(a), complex(d_mean - a * s_mean)


def positions(points: Sequence[Sequence[float]], onto: Template) -> np.ndarray:
    """(height, width, 2) float64: where in the photo, x and y, the template's picture takes its pixels from."""
    a, t = similarity(points, onto.points)
    u, v = np.arange(onto.width), np.arange(onto.height)
    read = (u + 1j * v[:, None] - t) / a
    return np.stack((read.real, read.imag), -1)


def warped(photo: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 photo read at (h, w, 2) places x, y by bilinear interpolation, 0 outside: (h, w, 3) float64."""
    height, width, _ = photo.shape
    first = np.clip(np.floor(places.min((0, 1))) - 1, 0, (width - 2, height - 2)).astype(int)
    last = np.clip(np.ceil(places.max((0, 1))) + 1, first + 1, (width - 1, height - 1)).astype(int)
    # all that the face needs of a large photo, and with it whatever is zero because it lies outside
    window = np.array(photo[first[1] : last[1] + 1, first[0] : last[0] + 1])
    grid = torch.from_numpy(2 * (places - first) / (last - first) - 1)  # -1 and 1 are centres: align_corners
    levels = torch.from_numpy(window).permute(2, 0, 1).double()
    read = functional.grid_sample(levels[None], grid[None], "bilinear", "zeros", align_corners=True)
    return read[0].permute(1, 2, 0).numpy()


def share_outside(places: np.ndarray, size: tuple[int, int]) -> float:
    """Share of (h, w, 2) places x, y, in percent, that lie outside a photo of `size`, width and height in pixels."""
    inside = ((places >= -0.5) & (places <= np.array(size) - 0.5)).all(-1)  # a pixel reaches half a pixel around
    return 100 * float(1 - inside.mean())
