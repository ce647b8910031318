"""Views that an attack looks through, so that its cloak does not fit one picture alone: differentiable, face by face.

Each is made of an entry's settings and takes pictures (B, 3, H, W), the number of the copy, and `drawn(*shape)`, which
gives (B, *shape) uniform numbers of [0, 1) that belong to the face, the iteration, the copy and the view's place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from cloakbench.attacks.jpeg import jpeg
from cloakbench.recognisers.views import pillow_weights

Drawn = Callable[..., torch.Tensor]
GREY = 127.5  # what the publications' codes, whose pictures reach from -1 to 1, call 0


class Transform(Protocol):
    def __call__(self, x: torch.Tensor, copy: int, drawn: Drawn) -> torch.Tensor: ...


class ResizePad:
    """DI: with probability `prob` the picture is enlarged to a random side, padded at a random place to `high` times
    its own, and brought back to its own size by Pillow's bilinear filter. zero: the padding's grey level."""

    def __init__(self, high: float = 1.1, prob: float = 0.5, zero: float = GREY):
        self.high, self.prob, self.zero = high, prob, zero

    def __call__(self, x: torch.Tensor, copy: int, drawn: Drawn) -> torch.Tensor:
        chance = drawn(4).tolist()
        down = torch.stack([self._line(x.shape[2], one[0], one[1], one[2]) for one in chance]).to(x)
        across = torch.stack([self._line(x.shape[3], one[0], one[1], one[3]) for one in chance]).to(x)
        return self.zero + down[:, None] @ (x - self.zero) @ across[:, None].mT

    def _line(self, side: int, used: float, size: float, place: float) -> torch.Tensor:
        """(side, side): what becomes of one line of pixels, less `zero`."""
        if used >= self.prob:
            return torch.eye(side)
        canvas = math.ceil(self.high * side)
        enlarged = side + int(size * (canvas - side))
        before = int(place * (canvas - enlarged + 1))
        return pillow_weights(canvas, side)[:, before : before + enlarged] @ pillow_weights(side, enlarged)


class Scale:
    """SI: the copy of number i is seen with a contrast of 2^-i around `zero`."""

    def __init__(self, zero: float = GREY):
        self.zero = zero

    def __call__(self, x: torch.Tensor, copy: int, drawn: Drawn) -> torch.Tensor:
        return self.zero + (x - self.zero) / 2**copy


class Affine:
    """Turned by up to `rotate` degrees, shifted by up to `shift` of the side, and scaled by up to `scale`, each drawn
    evenly between minus and plus that, around the middle: what a detector that finds the face again may do to it."""

    def __init__(self, rotate: float = 3, shift: float = 0.02, scale: float = 0.05):
        self.rotate, self.shift, self.scale = math.radians(rotate), shift, scale

    def __call__(self, x: torch.Tensor, copy: int, drawn: Drawn) -> torch.Tensor:
        height, width = x.shape[2:]
        turn, right, down, grow = (2 * drawn(4) - 1).double().unbind(1)
        size, angle = 1 / (1 + self.scale * grow), self.rotate * turn
        cos, sin = (size * angle.cos())[:, None, None], (size * angle.sin())[:, None, None]
        v, u = torch.meshgrid(
            torch.arange(height, device=x.device, dtype=torch.float64) - (height - 1) / 2,
            torch.arange(width, device=x.device, dtype=torch.float64) - (width - 1) / 2,
            indexing="ij",
        )
        read_x = cos * u - sin * v + (width - 1) / 2 - (self.shift * width * right)[:, None, None]
        read_y = sin * u + cos * v + (height - 1) / 2 - (self.shift * height * down)[:, None, None]
        return between(x, read_x, read_y)


def between(x: torch.Tensor, read_x: torch.Tensor, read_y: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) read at places (B, h, w) between its pixels, bilinearly; beyond the edge the edge goes on.

    By gather, whose gradient is added up in one order where that is asked for; grid_sample's on a GPU never is.
    """
    height, width = x.shape[2:]
    read_x, read_y = read_x.clamp(0, width - 1), read_y.clamp(0, height - 1)
    left, top = read_x.floor().clamp(max=width - 2), read_y.floor().clamp(max=height - 2)
    beside, below = (read_x - left).to(x.dtype), (read_y - top).to(x.dtype)
    flat, first = x.flatten(2), (top * width + left).long()

    def pixels(further: int) -> torch.Tensor:
        places = (first + further).flatten(1)[:, None].expand(-1, x.shape[1], -1)
        return flat.gather(2, places).reshape(*x.shape[:2], *read_x.shape[1:])

    beside, below = beside[:, None], below[:, None]
    upper = (1 - beside) * pixels(0) + beside * pixels(1)
    lower = (1 - beside) * pixels(width) + beside * pixels(width + 1)
    return (1 - below) * upper + below * lower


class Jpeg:
    """Stored as JPEG of a quality drawn from the two given, both included, with halved chroma."""

    def __init__(self, quality: Sequence[int] = (60, 90)):
        self.low, self.high = quality

    def __call__(self, x: torch.Tensor, copy: int, drawn: Drawn) -> torch.Tensor:
        quality = self.low + (drawn(1)[:, 0] * (self.high - self.low + 1)).int()
        return jpeg(x, quality.tolist())


TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "resize_pad": ResizePad,
    "scale": Scale,
    "affine": Affine,
    "jpeg": Jpeg,
}
