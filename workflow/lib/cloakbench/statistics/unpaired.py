"""The difference of two numbers that come from different people, each with its interval."""

from __future__ import annotations

import math
from typing import NamedTuple


class Estimate(NamedTuple):
    """A number with the limits of its interval."""

    value: float
    low: float
    high: float


def apart(one: Estimate, other: Estimate) -> Estimate:
    """one - other, of groups that have nobody in common:

    d = a - b,  low = d - sqrt((a - a_low)^2 + (b_high - b)^2),  high = d + sqrt((a_high - a)^2 + (b - b_low)^2).

    Of shares with Wilson's limits it is method 10 of Newcombe (1998) for independent proportions; of other numbers,
    such as gains, Zou and Donner (2008) show that it holds its level where the intervals of both do.

    >>> from statsmodels.stats.proportion import proportion_confint
    >>> one, other = (Estimate(a / n, *proportion_confint(a, n, method="wilson")) for a, n in ((18, 30), (27, 32)))
    >>> [round(100 * limit, 1) for limit in apart(one, other)]
    [-24.4, -44.1, -2.1]
    """
    difference = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(difference, difference - below, difference + above)
