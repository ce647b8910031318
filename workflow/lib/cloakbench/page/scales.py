"""How a page draws: places along axes, and what tells targets apart without colour. In units of an SVG's viewBox."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

WIDTH, HEIGHT = 300, 196
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 8, 30
SHAPES = (  # of marks, round (0, 0), all of one size to the eye
    "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "M-2.9-2.9h5.8v5.8h-5.8z",
    "M0-3.9l3.7 6.6h-7.4z",
    "M0-4.1l4.1 4.1l-4.1 4.1l-4.1-4.1z",
    "M0 3.9l3.7-6.6h-7.4z",
    "M-3.6-1.2h2.4v-2.4h2.4v2.4h2.4v2.4h-2.4v2.4h-2.4v-2.4h-2.4z",
    "M0-4.3l1.3 3h3.2l-2.5 2l1 3.3l-3-1.9l-3 1.9l1-3.3l-2.5-2h3.2z",
    "M-3.8-1.5l2.3-2.3h3l2.3 2.3v3l-2.3 2.3h-3l-2.3-2.3z",
)
LOOKS = len(SHAPES)


def place(value: float) -> str:
    """A coordinate, with one digit; the small addition lets a script round ties alike."""
    return f"{value + 1e-9:.1f}"


def height_of(percent: float) -> float:
    """Where a share lies: 100 % at the top."""
    return TOP + (100 - percent) / 100 * (HEIGHT - TOP - BOTTOM)


def along_budgets(budgets: Sequence[int]) -> dict[int, float]:
    """Where each budget lies, by the logarithm; one alone in the middle."""
    logs = [math.log2(eps) for eps in budgets]
    return dict(zip(budgets, _spread(logs, logs), strict=True))


def along(values: pd.Series, ticks: int = 5) -> tuple[float, float, list[float]]:
    """The ends of an axis that holds all values, and round places for its ticks, rising.

    >>> along(pd.Series([0.62, 0.99]))
    (0.6, 1.0, [0.6, 0.7, 0.8, 0.9, 1.0])
    """
    low, high = float(values.min()), float(values.max())
    span = (high - low) or abs(high) or 1.0
    unit = 10 ** math.floor(math.log10(span / ticks))
    step = next(unit * factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = [round(number * step, 10) for number in range(first, last + 1)]
    return marks[0], marks[-1], marks


def across(value: float, low: float, high: float) -> float:
    """Where a value lies on an axis from low, at the left, to high; either may be the larger."""
    share = (value - low) / (high - low) if high != low else 0.5
    return LEFT + 8 + share * (WIDTH - LEFT - RIGHT - 16)


def _spread(values: Sequence[float], domain: Sequence[float]) -> list[float]:
    return [across(value, min(domain), max(domain)) for value in values]
