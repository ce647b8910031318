"""Face detection: MTCNN (Zhang et al., 2016) as facenet-pytorch ships it, weights included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image

from cloakbench.files import seals

Point = tuple[float, float]
BOX = ("left", "top", "right", "bottom", "confidence")
POINTS = tuple(
    f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"
)
LEAST = 20  # pixels: MTCNN looks for faces of 20 and more
COLUMNS = dict.fromkeys((*BOX, *POINTS), "float") | {"faces": "Int64"}  # of a detection in a table, with their types


class Detection(NamedTuple):
    """A face that was found in a picture. Lengths are pixels of the picture; all of it may lie outside.

    left, top, right, bottom: edges of the face box. confidence: the detector's, 0..1. points: x, y of the left eye,
    the right eye, the nose and the left and right corner of the mouth, left and right as the picture shows them, the
    centre of the first pixel at 0, 0; None from a detector that gives none. faces: how many were seen in the picture.
    """

    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    points: tuple[Point, ...] | None = None
    faces: int = 1

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self[:4]

    def fault(self, size: tuple[int, int]) -> str:
        """Why no crop can be cut from this in a picture of `size`, width and height; empty where one can."""
        if not all(map(math.isfinite, self.box + sum(self.points or (), ()))):
            return "the face's box or points are not finite numbers"
        (left, top, right, bottom), (width, height) = self.box, size
        if min(right, width) - max(left, 0) < 1 or min(bottom, height) - max(top, 0) < 1:
            return f"face box {tuple(round(edge, 1) for edge in self.box)} is empty or lies outside the photo"
        if self.points is None:
            return ""
        across, down = zip(*self.points, strict=True)
        if max(across) - min(across) < 1 and max(down) - min(down) < 1:
            return "the five points of the face lie in one place"
        if not any(0 <= x < width and 0 <= y < height for x, y in self.points):
            return "the five points of the face lie outside the photo"
        return ""


def to_row(face: Detection | None) -> dict[str, Any]:
    """The face as the COLUMNS of a table, empty where there is none."""
    if face is None:
        return dict.fromkeys(COLUMNS)
    points = (None,) * len(POINTS) if face.points is None else sum(face.points, ())
    return dict(zip(COLUMNS, (*face.box, face.confidence, *points, face.faces), strict=True))


def from_row(row: Mapping[str, Any]) -> Detection | None:
    """The face of a row with COLUMNS, as `to_row` made it; None where they are empty."""
    if pd.isna(row["left"]):
        return None
    axes = [row.get(name, math.nan) for name in POINTS]
    points = (
        None if pd.isna(axes).any() else tuple((float(x), float(y)) for x, y in zip(axes[::2], axes[1::2], strict=True))
    )
    return Detection(*(float(row[name]) for name in BOX), points, int(row.get("faces", 1)))


def prominence(face: Detection, size: tuple[int, int]) -> float:
    """How likely it is that the picture was taken of this face: the area of its box less twice the squared distance
    from the box's centre to the picture's, in pixels squared (facenet-pytorch's center_weighted_size).

    The largest face may be a passer-by's at the edge, and the most confident one as well. size: width and height.

    >>> middle, edge = Detection(80, 80, 120, 120, 0.9), Detection(0, 0, 60, 60, 1.0)
    >>> prominence(middle, (200, 200)) > prominence(edge, (200, 200))
    True
    """
    across, down = (face.left + face.right - size[0]) / 2, (face.top + face.bottom - size[1]) / 2
    return (face.right - face.left) * (face.bottom - face.top) - 2 * (across**2 + down**2)


def choose(faces: Sequence[Detection], size: tuple[int, int]) -> Detection | None:
    """Of the faces seen in a picture the most prominent that a crop can be cut from; it knows how many there were.

    Where there are none but faulty ones it is one of these. size: width and height of the picture.
    """
    usable = [face for face in faces if not face.fault(size)]
    if not faces:
        return None
    return max(usable or faces, key=lambda face: prominence(face, size))._replace(faces=len(faces))


class Detector:
    """MTCNN with facenet-pytorch's defaults; of several faces `choose` takes one."""

    def __init__(self, device: torch.device):
        from facenet_pytorch import MTCNN  # slow to import, so only where a detector is made

        seals.note(**{"facenet-pytorch": version("facenet-pytorch"), "torchvision": version("torchvision")})
        self.mtcnn = MTCNN(device=device)

    def find(self, pictures: Sequence[Image.Image]) -> list[Detection | None]:
        """The face of each picture, or None. Pictures: PIL, RGB, all of one size.

        PIL only: from arrays and tensors facenet-pytorch resizes in another way and finds other boxes.
        """
        with torch.inference_mode():
            found = self.mtcnn.detect(list(pictures), landmarks=True)
        return [choose(_detections(*one), picture.size) for picture, *one in zip(pictures, *found, strict=True)]


def face_of(picture: Image.Image, detector: Detector) -> tuple[Detection | None, str]:
    """The face of a photo, RGB, that a crop can be cut from, or the reason why there is none."""
    if min(picture.size) < LEAST:
        return None, f"{picture.width} x {picture.height} pixels: too small for a face"
    # one at a time: in a batch the boxes differ in their last bits, and would depend on who else is drawn
    face = detector.find([picture])[0]
    if face is None:
        return None, "no face found"
    fault = face.fault(picture.size)
    return (None if fault else face), fault


def _detections(boxes: np.ndarray | None, confidences: Sequence[float], points: np.ndarray | None) -> list[Detection]:
    """What MTCNN says of one picture: (n, 4), (n,), (n, 5, 2), or None; of objects or of float32, as it comes."""
    if boxes is None:
        return []
    return [
        Detection(*map(float, box), float(sure), tuple((float(x), float(y)) for x, y in five))
        for box, sure, five in zip(boxes, confidences, points, strict=True)
    ]
