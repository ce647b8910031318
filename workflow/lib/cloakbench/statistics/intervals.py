"""Intervals at 95 %: of a share, and of the difference of two shares of the same faces. All in percent.

Several photographs of a subject are no independent trials: the subject is the unit (shown in docs/statistics.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.975  # of each side
Interval = tuple[float, float]
NONE = (math.nan, math.nan)


class Pairs(NamedTuple):
    """Faces that both hide, that one alone hides, the other alone, and neither."""

    both: int
    only: int
    only_reference: int
    neither: int


def pairs_of(hidden: Sequence[int], by_reference: Sequence[int]) -> Pairs:
    """Of indicators of the same faces."""
    counts = Counter(zip(map(bool, hidden), map(bool, by_reference), strict=True))
    return Pairs(*(counts[key] for key in ((True, True), (True, False), (False, True), (False, False))))


def of_share(hidden: Sequence[int], subjects: Sequence[int]) -> Interval:
    """Wilson's interval of a share, with as many trials as `effective_n` gives. (nan, nan) of nothing.

    hidden: an indicator a face; subjects: whose face it is.

    >>> [round(limit, 4) for limit in of_share([0] * 62, range(62))]
    [0.0, 5.8344]
    """
    if not len(hidden):
        return NONE
    n, faces = effective_n(hidden, subjects), len(hidden)
    percent = 100 - 100 / faces * (faces - int(np.sum(hidden)))  # to the bit as tables have it
    low, high = wilson(percent / 100 * n, n)
    return 100 * low, 100 * high


@cache  # studies have many cells, of few counts
def wilson(hidden: float, n: float) -> Interval:
    """Wilson's interval of hidden of n trials, in shares of 1."""
    return proportion_confint(hidden, n, method="wilson")


def effective_n(hidden: Sequence[int], subjects: Sequence[int]) -> float:
    """How many independent trials tell as much of a share as these faces do (Franco et al. 2019; Fogliato, Patil,
    Perona 2024).

    Of subject i, m_i faces and y_i of them hidden; M = sum m_i, p = sum y_i / M:
    v = sum (y_i - p m_i)^2 / M^2,  n = p (1 - p) / v * (z / t)^2,  t of S - 1 degrees of freedom,
    at least M^2 / sum m_i^2, which is taken where v is 0, and at most M. With a photograph each it is their number.

    >>> effective_n([1, 0, 0, 1], [0, 1, 2, 3]), effective_n([1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1])
    (4.0, 2.0)
    """
    _, whose = np.unique(np.asarray(subjects), return_inverse=True)
    faces, hidden = np.bincount(whose), np.asarray(hidden, int)
    count, share = len(whose), float(np.mean(hidden))
    least = count**2 / float((faces**2).sum())
    # whole numbers, M^2 (y_i - p m_i): rounded ones would not tell a v of 0, where all subjects fare alike
    apart = (np.bincount(whose[hidden == 1], minlength=len(faces)) * count - hidden.sum() * faces).astype(float)
    spread = float((apart**2).sum()) / count**4
    if least == count or spread == 0:
        return least
    trials = share * (1 - share) / spread * (norm.ppf(LEVEL) / t.ppf(LEVEL, len(faces) - 1)) ** 2
    return min(max(trials, least), float(count))


def of_difference(hidden: Sequence[int], by_reference: Sequence[int], subjects: Sequence[int]) -> Interval:
    """Of share minus share of the same faces: Newcombe's with a photograph a subject, else Student's over subjects.

    Of subject i, d_i faces more are hidden, of m_i: v = S / (S - 1) * sum (d_i - delta m_i)^2 / M^2,
    delta -+ t sqrt(v). (nan, nan) of nothing, and of several photographs of one subject.
    """
    _, whose = np.unique(np.asarray(subjects), return_inverse=True)
    people = len(np.unique(whose))
    if people == len(whose):
        low, high = newcombe(pairs_of(hidden, by_reference))
        return 100 * low, 100 * high
    if people < 2:
        return NONE
    more = np.asarray(hidden, float) - np.asarray(by_reference, float)
    delta, each = more.mean(), np.bincount(whose, more) - more.mean() * np.bincount(whose)
    reach = t.ppf(LEVEL, people - 1) * math.sqrt(people / (people - 1) * (each**2).sum()) / len(whose)
    return 100 * max(delta - reach, -1), 100 * min(delta + reach, 1)


@cache
def newcombe(pairs: Pairs) -> Interval:
    """Method 10 of Newcombe (1998) for a difference of paired proportions, in shares of 1: Wilson's limits of both, and
    how much they go together.

    >>> [round(limit, 5) for limit in newcombe(Pairs(20, 12, 2, 16))]
    [0.05616, 0.32921]
    """
    a, b, c, d = pairs
    n = sum(pairs)
    if not n:
        return NONE
    first, second = (a + b) / n, (a + c) / n
    (low, high), (low_other, high_other) = (wilson(count, n) for count in (a + b, a + c))
    product, together = (a + b) * (c + d) * (a + c) * (b + d), a * d - b * c
    together = max(together - n / 2, 0) if together > 0 else together
    phi = together / math.sqrt(product) if product else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    difference = first - second
    return difference - reach(first - low, high_other - second), difference + reach(high - first, second - low_other)
