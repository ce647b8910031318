"""Face detection: MTCNN (Zhang et al., 2016) as facenet-pytorch ships it, weights included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image


class Detection(NamedTuple):
    """Edges of the face box in pixels of the picture (they may lie outside it) and MTCNN's confidence, 0..1."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self[:4]


class Detector:
    """MTCNN with facenet-pytorch's defaults; of several faces the largest counts."""

    def __init__(self, device: torch.device):
        from facenet_pytorch import MTCNN  # slow to import, so only where a detector is made

        self.mtcnn = MTCNN(device=device)

    def find(self, pictures: Sequence[Image.Image]) -> list[Detection | None]:
        """The face of each picture, or None. Pictures: PIL, RGB, all of one size.

        PIL only: from arrays and tensors facenet-pytorch resizes in another way and finds other boxes.
        """
        with torch.inference_mode():
            boxes, confidences = self.mtcnn.detect(list(pictures))
        return [
            None if found is None or len(found) == 0 else Detection(*map(float, found[0]), float(sure[0]))
            for found, sure in zip(boxes, confidences, strict=True)
        ]
