"""What a cloak costs to the eye: published pictures against clean ones, as stored, in 8 bits and RGB.

Pictures are (height, width, 3) uint8; numbers are for each picture alone, never for a batch. tests/test_quality.py
compares all with scikit-image and with published vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import correlate1d
from tqdm import tqdm

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.measures.cells import FACE, TYPES
from cloakbench.publishing.store import read_stored
from cloakbench.study.grid import Cell

Picture = np.ndarray
TAPS, SIGMA = 11, 1.5  # of the window that SSIM looks through
K1, K2, RANGE = 0.01, 0.03, 255.0
SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # the weights of MS-SSIM's five, finest first
FINEST = (TAPS - 1) * 2 ** (len(SCALES) - 1) + 1  # pixels: below them the coarsest scale is smaller than the window
ROWS = 64  # whose colours are compared at once: what is computed on the way stays in the processor's cache
# sRGB, of light from D65, to XYZ (IEC 61966-2-1)
XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.95047, 1.0, 1.08883])
VALUES = np.arange(256) / 255
LIGHT = np.where(VALUES > 0.04045, ((VALUES + 0.055) / 1.055) ** 2.4, VALUES / 12.92)  # of each value of sRGB
# of CIEDE2000's T for one to four times the hue: weight, and turn in radians
HUES = [(weight, np.radians(turn)) for weight, turn in ((-0.17, 30), (0.24, 0), (0.32, -6), (-0.20, 63))]


def linf(clean: Picture, shown: Picture) -> float:
    """The largest change of a value, in grey levels. Storage changes more than the budget allows: that is no fault."""
    return float(np.abs(shown.astype(int) - clean).max())


def rmse(clean: Picture, shown: Picture) -> float:
    """Root of the mean squared change, in grey levels."""
    return float(np.sqrt(np.square(shown.astype(float) - clean).mean()))


def psnr(clean: Picture, shown: Picture) -> float:
    """20 log10(255 / RMSE), in dB; infinite for equal pictures."""
    error = rmse(clean, shown)
    return float(20 * np.log10(RANGE / error)) if error else float("inf")


def similarity(clean: Picture, shown: Picture) -> tuple[float, float]:
    """SSIM and MS-SSIM, which begin alike.

    SSIM: Wang, Bovik, Sheikh, Simoncelli (2004): Gaussian window of 11 pixels, sigma 1.5, wherever it lies within the
    picture; mean over places and channels, no sample covariance, not made smaller before.
    MS-SSIM: Wang, Simoncelli, Bovik (2003): contrast and structure at five scales, luminance at the coarsest; the mean
    over channels. Not a number below 161 pixels, where the coarsest scale is smaller than the window.
    """
    one, other = (picture.transpose(2, 0, 1).astype(float, order="C") for picture in (clean, shown))
    luminance, structure = _factors(one, other)
    ssim, product = float((luminance * structure).mean()), np.ones(3)
    if min(clean.shape[:2]) < FINEST:
        return ssim, float("nan")
    for weight in SCALES[:-1]:
        product *= np.maximum(structure.mean(axis=(1, 2)), 0) ** weight
        one, other = _halved(one), _halved(other)
        luminance, structure = _factors(one, other)
    product *= np.maximum((luminance * structure).mean(axis=(1, 2)), 0) ** SCALES[-1]
    return ssim, float(product.mean())


def _factors(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM's two factors, (3, height - 10, width - 10): of luminance, and of contrast and structure. x, y: (3, height,
    width). Of the variances the sum alone is needed, so one window looks at both squares."""
    mean_x, mean_y, squares, together = _seen(x), _seen(y), _seen(x * x + y * y), _seen(x * y)
    means, squared_means = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    luminance = (2 * means + c1) / (squared_means + c1)
    return luminance, (2 * (together - means) + c2) / (squares - squared_means + c2)


def _seen(values: np.ndarray) -> np.ndarray:
    """Weighted means of a window at every place where it lies within the picture."""
    places = np.arange(TAPS) - TAPS // 2
    window = np.exp(-(places**2) / (2 * SIGMA**2))
    window, edge = window / window.sum(), slice(TAPS // 2, -(TAPS // 2))
    return correlate1d(correlate1d(values, window, axis=1)[:, edge], window, axis=2)[..., edge]


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of two by two pixels; the last row or column of an odd side counts twice."""
    even = np.pad(values, [(0, 0)] + [(0, side % 2) for side in values.shape[1:]], "edge")
    rows = even[:, ::2] + even[:, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def ciede2000(clean: Picture, shown: Picture) -> tuple[float, float]:
    """Mean and 95th percentile over the pixels of the colour difference Delta E00 (CIE 142-2001; Sharma, Wu, Dalal
    2005), of which 1 is about the least that is seen side by side."""
    parts = [slice(first, first + ROWS) for first in range(0, len(clean), ROWS)]
    found = np.concatenate([delta_e(to_lab(clean[part]), to_lab(shown[part])) for part in parts])
    return float(found.mean()), float(np.percentile(found, 95))


def to_lab(picture: Picture) -> np.ndarray:
    """CIELAB, (3, height, width), of an sRGB picture, D65."""
    light = XYZ @ LIGHT[picture].reshape(-1, 3).T / WHITE[:, None]
    x, y, z = np.where(light > 0.008856, np.cbrt(light), 7.787 * light + 16 / 116)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)]).reshape(3, *picture.shape[:2])


def delta_e(lab: np.ndarray, other: np.ndarray) -> np.ndarray:
    """CIEDE2000 of CIELAB colours (3, ...), with weights of 1; names are those of Sharma, Wu, Dalal (2005)."""
    (l1, a1, b1), (l2, a2, b2) = np.asarray(lab, float), np.asarray(other, float)
    g = 1.5 - 0.5 * _saturated((_chroma(a1, b1) + _chroma(a2, b2)) / 2)
    a1, a2 = g * a1, g * a2
    c1, c2 = _chroma(a1, b1), _chroma(a2, b2)
    h1, h2 = _positive(np.arctan2(b1, a1)), _positive(np.arctan2(b2, a2))
    grey, far = c1 * c2 == 0, np.abs(h2 - h1) > np.pi
    dh = np.where(grey, 0, h2 - h1 - np.where(far, np.sign(h2 - h1) * 2 * np.pi, 0))
    mean_h = np.where(grey, h1 + h2, (h1 + h2) / 2 + np.where(far, np.pi, 0))
    mean_h = np.where(mean_h >= 2 * np.pi, mean_h - 2 * np.pi, mean_h)
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(dh / 2)
    mean_c, bright = (c1 + c2) / 2, ((l1 + l2) / 2 - 50) ** 2
    s_l, s_c, s_h = 1 + 0.015 * bright / np.sqrt(20 + bright), 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * _by_hue(mean_h)
    turn = np.radians(60) * np.exp(-(((np.degrees(mean_h) - 275) / 25) ** 2))
    r_t = -2 * np.sin(turn) * _saturated(mean_c)
    return np.sqrt((dl / s_l) ** 2 + (dc / s_c) ** 2 + (dh / s_h) ** 2 + r_t * (dc / s_c) * (dh / s_h))


def _by_hue(hue: np.ndarray) -> np.ndarray:
    """T = 1 + sum of weight * cos(times * hue - turn) over HUES; multiples of the hue by the addition theorem, for a
    cosine is slow: cos(n + 1)h = 2 cos(h) cos(nh) - cos(n - 1)h, and the sine likewise."""
    before, now = (1.0, 0.0), (np.cos(hue), np.sin(hue))
    twice, t = 2 * now[0], np.ones_like(hue)
    for weight, turn in HUES:
        t += weight * (np.cos(turn) * now[0] + np.sin(turn) * now[1])
        before, now = now, (twice * now[0] - before[0], twice * now[1] - before[1])
    return t


def _chroma(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(a * a + b * b)  # of numbers far from overflow, so without the care that np.hypot takes


def _saturated(chroma: np.ndarray) -> np.ndarray:
    """sqrt(c^7 / (c^7 + 25^7)), without a slow power."""
    seventh = chroma * (chroma * chroma) ** 2 * (chroma * chroma)
    return np.sqrt(seventh / (seventh + 25.0**7))


def _positive(angle: np.ndarray) -> np.ndarray:
    return np.where(angle < 0, angle + 2 * np.pi, angle)


# name of a column to what it is of a clean and a shown picture; columns that come together share a function
MEASURES: dict[tuple[str, ...], Callable[[Picture, Picture], float | tuple[float, ...]]] = {
    ("linf",): linf,
    ("rmse",): rmse,
    ("psnr",): psnr,
    ("ssim", "ms_ssim"): similarity,
    ("ciede2000", "ciede2000_95"): ciede2000,
}
NAMES = [name for names in MEASURES for name in names]
ORIGINAL = "original_"  # before a name: against the clean face that was not stored either
QUALITY = [*NAMES, *(f"{ORIGINAL}{name}" for name in NAMES)]


def columns(cell: Iterable[str]) -> list[str]:
    """The columns of a cell's quality file: whose face, the keys of the cell, what was measured."""
    return [*FACE, *cell, *QUALITY]


def measure(
    manifest: pd.DataFrame, stored: Path, clean_manifest: pd.DataFrame, clean: Path, originals: np.ndarray
) -> pd.DataFrame:
    """A row a face: subject, photo, and what MEASURES say of its stored picture, against the clean face stored alike,
    and against `originals`, (N, height, width, 3) uint8, the clean faces as they were before; empty there where the
    storage has resized.

    Raises InputError for pictures that are not those of the manifests, and for manifests of other faces.
    """
    if not (len(originals) == len(manifest) and manifest[FACE].equals(clean_manifest[FACE])):
        raise InputError(f"{stored}: holds other faces than {clean}; delete both folders and run the study again")
    rows = []
    pairs = zip(manifest.itertuples(), clean_manifest.itertuples(), originals, strict=True)
    for row, clean_row, original in tqdm(pairs, desc="measure", total=len(manifest), mininterval=1):
        shown = np.asarray(read_stored(stored, row.file, row.sha256))
        beside = np.asarray(read_stored(clean, clean_row.file, clean_row.sha256))
        told = {"subject": row.subject, "photo": row.photo} | measured(beside, shown)
        before = measured(original, shown) if original.shape == shown.shape else {}
        rows.append(told | {f"{ORIGINAL}{name}": before.get(name, np.nan) for name in NAMES})
    return pd.DataFrame(rows, columns=columns([]))


def measured(clean: Picture, shown: Picture) -> dict[str, float]:
    """By name, everything that is measured, rounded to 6 places."""
    values = [np.atleast_1d(function(clean, shown)) for function in MEASURES.values()]
    return dict(zip(NAMES, map(float, np.round(np.concatenate(values), 6)), strict=True))


def read_quality(path: Path, cell: Cell) -> pd.DataFrame:
    """One quality file. Raises InputError for one that is damaged or holds another cell."""
    frame = read_table(path, dtype={name: TYPES[name] for name in cell}, keep_default_na=False, na_values=[""])
    if list(frame) != columns(cell) or not (frame[list(cell)] == list(cell.values())).all(axis=None):
        raise InputError(f"{path}: holds another cell than {tuple(cell.values())}; delete it and run again")
    return frame
