"""Crops: a face that was found in a photo, as a recogniser wants it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos import alignment
from cloakbench.photos.detectors import Detection
from cloakbench.photos.images import to_bytes

Box = tuple[float, float, float, float]


def shape(crop: Mapping) -> tuple[int, int]:
    """Height and width in pixels of a crop: a square of `size`, or `align`'s template of that height.

    >>> shape({"size": 160, "margin": 0}), shape({"size": 112, "align": "arcface96"})
    ((160, 160), (112, 96))
    """
    if "align" not in crop:
        return crop["size"], crop["size"]
    template = alignment.template(crop["align"], crop["size"])
    return template.height, template.width


def cut(photo: Image.Image, face: Detection | None, crop: Mapping) -> np.ndarray:
    """The face as a recogniser wants it, (height, width, 3) uint8 of `shape(crop)`; of None the whole photo.

    crop: `size`, the height in pixels, and either
    `align`, a name of alignment.TEMPLATES: the face's five points are brought onto the template's; what lies outside
    the photo is black; or
    `margin` (the box is enlarged by this share of its width and height), and optionally `short_side`: the box's
    shorter side is resized to it and the central size x size pixels are taken; without it the box is stretched to the
    square. The box is clamped to the photograph, as facenet-pytorch does.
    Raises InputError where box or points leave nothing to be cut.
    """
    if "align" not in crop:
        return _boxed(photo, face.box if face else (0, 0, *photo.size), crop)
    if face is None:
        height, width = shape(crop)
        return np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR))
    return to_bytes(alignment.warped(np.asarray(photo), _positions(face, crop)))


def outside(photo_size: tuple[int, int], face: Detection | None, crop: Mapping) -> float:
    """Share of what `cut` gives, in percent with two decimals, that lies outside a photo of this width and height."""
    if "align" not in crop or face is None:
        return 0.0  # boxes are clamped
    return round(alignment.share_outside(_positions(face, crop), photo_size), 2)


def _positions(face: Detection, crop: Mapping) -> np.ndarray:
    if face.points is None:
        raise InputError(f"align: {crop['align']} needs the five points of the face, and the detector gave none")
    return alignment.positions(face.points, alignment.template(crop["align"], crop["size"]))


def _boxed(photo: Image.Image, box: Box, crop: Mapping) -> np.ndarray:
    size, short_side = crop["size"], crop.get("short_side")
    left, top, right, bottom = _enlarged(box, crop["margin"], photo.size)
    if short_side is None:
        face = photo.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    else:
        scale = short_side / min(right - left, bottom - top)
        middle_x, middle_y, half = (left + right) / 2, (top + bottom) / 2, size / scale / 2
        # in exact numbers always within the box; rounded, a square that fills it may reach out of the photo
        square = (max(middle_x - half, left), max(middle_y - half, top))
        square += (min(middle_x + half, right), min(middle_y + half, bottom))
        face = photo.resize((size, size), Image.Resampling.BILINEAR, box=square)
    return np.asarray(face)


def _enlarged(box: Box, margin: float, photo_size: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    grow_x, grow_y = margin * (right - left) / 2, margin * (bottom - top) / 2
    width, height = photo_size
    left, right = max(left - grow_x, 0.0), min(right + grow_x, float(width))
    top, bottom = max(top - grow_y, 0.0), min(bottom + grow_y, float(height))
    if not (right - left >= 1 and bottom - top >= 1):  # nor where an edge is not a number
        raise InputError(f"face box {tuple(round(edge, 1) for edge in box)} lies outside the photo")
    return left, top, right, bottom
