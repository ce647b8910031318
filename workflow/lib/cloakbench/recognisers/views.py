"""Views: what a recogniser sees of the canvas, the pixels that are changed and published. Fixed and differentiable."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

View = Callable[[torch.Tensor], torch.Tensor]  # grey levels (B, 3, H, W) of the canvas -> (B, 3, h, w) of the input


def view(canvas: tuple[int, int], size: tuple[int, int]) -> View:
    """The whole canvas, brought to the size of an input. Both: height and width in pixels."""
    return whole if canvas == size else Resized(canvas, size)


def whole(x: torch.Tensor) -> torch.Tensor:
    """The canvas as it is."""
    return x


class Resized:
    """A x B^T with the weights of Pillow's bilinear filter, channel by channel, unrounded.

    As two products of matrices its gradient is summed in one order on every device; that of torch's interpolate is not.
    """

    def __init__(self, canvas: tuple[int, int], size: tuple[int, int]):
        self.down, self.across = (pillow_weights(*edges) for edges in zip(canvas, size, strict=True))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.down.to(x) @ x @ self.across.to(x).T


@functools.cache
def pillow_weights(length: int, wanted: int) -> torch.Tensor:
    """(wanted, length): how much each pixel of a line counts in one of another length, as Pillow's bilinear filter
    has it: what it makes of each single pixel of a line."""
    lines = Image.fromarray(np.eye(length, dtype=np.float32))
    return torch.from_numpy(np.array(lines.resize((length, wanted), Image.Resampling.BILINEAR)))
