"""JPEG as Pillow's libjpeg writes and reads it, with halved chroma, and a gradient: rounding counts as nothing there.

Y'CbCr of JFIF; chroma is the mean of two by two pixels; eight by eight cosines over the tables of the standard's annex
K, scaled as libjpeg scales them; chroma comes back by its "fancy" filter, three parts of the nearer pixel and one of
the next.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

FROM_RGB = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = torch.tensor([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA = torch.full((8, 8), 99)
CHROMA[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])


def jpeg(x: torch.Tensor, quality: Sequence[int]) -> torch.Tensor:
    """(B, 3, H, W) grey levels after JPEG at a quality each, 1..100. H and W: even, as crops are."""
    colours = torch.einsum("ij,bjhw->bihw", FROM_RGB.to(x), rounded(x))
    luma, chroma = rounded(colours[:, :1]), rounded(F.avg_pool2d(rounded(colours[:, 1:]), 2))
    luma = quantised(luma - 128, tables(LUMA, quality)) + 128
    chroma = fancy(quantised(chroma, tables(CHROMA, quality)))
    levels = torch.einsum("ij,bjhw->bihw", TO_RGB.to(x), torch.cat([luma, chroma], dim=1))
    return levels + (levels.round().clamp(0, 255) - levels).detach()


def rounded(x: torch.Tensor) -> torch.Tensor:
    """Whole numbers with the gradient of x."""
    return x + (x.round() - x).detach()


def tables(table: torch.Tensor, quality: Sequence[int]) -> torch.Tensor:
    """(B, 1, 1, 1, 8, 8): by what the coefficients are divided."""
    scales = torch.tensor([5000 // one if one < 50 else 200 - 2 * one for one in quality])
    return ((table * scales[:, None, None] + 50) // 100).clamp(1, 255)[:, None, None, None]


def quantised(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Planes (B, C, H, W) around 0, after quantisation of the cosines of their blocks. Edges are repeated to fill."""
    height, width = x.shape[2:]
    filled = F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")
    batch, channels, rows, columns = filled.shape
    blocks = filled.reshape(batch, channels, rows // 8, 8, columns // 8, 8).transpose(3, 4)
    cosines, table = basis().to(x), table.to(x)
    kept = cosines.T @ (rounded(cosines @ blocks @ cosines.T / table) * table) @ cosines
    plane = kept.transpose(3, 4).reshape(batch, channels, rows, columns)[..., :height, :width]
    return plane + (plane.round().clamp(-128, 127) - plane).detach()


@functools.cache
def basis() -> torch.Tensor:
    """(8, 8): the cosines of one frequency a row, orthonormal."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)
    waves = torch.cos(math.pi * k * (2 * n + 1) / 16) / 2
    waves[0] /= math.sqrt(2)
    return waves


def fancy(x: torch.Tensor) -> torch.Tensor:
    """Planes in twice the height and width."""
    for axis in (2, 3):
        ends = F.pad(x, (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0), mode="replicate")
        length = x.shape[axis]
        before, after = ends.narrow(axis, 0, length), ends.narrow(axis, 2, length)
        x = torch.stack([(3 * x + before) / 4, (3 * x + after) / 4], dim=axis + 1).flatten(axis, axis + 1)
    return rounded(x)
