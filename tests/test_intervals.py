"""Intervals: published vectors, the formulas written out, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from cloakbench.statistics.intervals import Pairs, effective_n, newcombe, of_difference, of_share, pairs_of


@pytest.mark.parametrize(
    "pairs, low, high",
    [
        ((1, 1, 7, 12), -0.50692, -0.02556),  # Fagerland, Lydersen and Laake's example
        ((20, 12, 2, 16), 0.05616, 0.32921),
        ((36, 12, 2, 0), 0.05693, 0.34043),
        ((50, 6, 0, 6), 0.01523, 0.19042),
        ((62, 0, 0, 0), -0.05834, 0.05834),
        ((0, 62, 0, 0), 0.91749, 1),
    ],
)
def test_newcombes_interval(pairs, low, high):
    assert newcombe(Pairs(*pairs)) == pytest.approx((low, high), abs=5e-6)
    both, only, other, neither = pairs
    assert newcombe(Pairs(both, other, only, neither)) == pytest.approx((-high, -low), abs=5e-6)


def faces(hidden: list[int], photos: list[int]) -> tuple[list[int], list[int]]:
    """Indicators and subjects of faces of which so many are hidden of each subject's photos."""
    each = list(enumerate(zip(hidden, photos, strict=True)))
    return [int(k < y) for _, (y, m) in each for k in range(m)], [i for i, (_, m) in each for _ in range(m)]


@pytest.mark.parametrize(
    "hidden, photos, trials, low, high",
    [
        ([3, 3, 3, 3, 0, 0, 1, 2, 3, 0], [3] * 10, 10, 31.2674, 83.1820),  # at the floor
        ([3, 2, 3, 1, 2, 2, 1, 2, 2, 0], [3] * 10, 21.3349, 39.2772, 77.6712),
        ([2, 1, 0, 4], [2, 3, 1, 4], 10 / 3, 24.0920, 94.4916),
        ([3] * 10, [3] * 10, 10, 72.2467, 100),
        ([1] * 6, [49] * 6, 6, 0.0612, 41.4606),  # all fare alike, at a share that no float holds
        ([7], [49], 1, 0.4974, 84.7491),  # one subject alone
        ([1, 1, 1, 0, 0, 0, 1, 1, 0, 1], [1] * 10, 10, 31.2674, 83.1820),
        ([3, 4, 1, 3, 1, 4, 0, 3], [4] * 8, 10.6894, 31.5230, 82.2702),  # a mean over four cells
    ],
)
def test_effective_n(hidden, photos, trials, low, high):
    assert effective_n(*faces(hidden, photos)) == pytest.approx(trials, abs=5e-5)
    assert of_share(*faces(hidden, photos)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    "count, n, low, high",
    [
        (0, 62, 0, 5.8344),
        (1, 62, 0.2853, 8.5867),
        (31, 62, 37.9227, 62.0773),
        (62, 62, 94.1656, 100),
        (95, 100, 88.8250, 97.8456),
        (0, 1, 0, 79.3451),
    ],
)
def test_a_photo_each_is_wilsons(count, n, low, high):
    assert of_share([1] * count + [0] * (n - count), range(n)) == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_there_is_none():
    assert all(map(math.isnan, (*of_share([], []), *of_difference([], [], []), *newcombe(Pairs(0, 0, 0, 0)))))


def test_a_difference_of_several_photos_is_students_over_subjects():
    rng = np.random.default_rng(0)
    subjects, one, other = np.repeat(np.arange(12), 4), rng.random(48) < 0.6, rng.random(48) < 0.4
    shares = [(one[subjects == s].mean() - other[subjects == s].mean()) for s in range(12)]
    reach = t.ppf(0.975, 11) * np.std(shares, ddof=1) / math.sqrt(12)
    expected = 100 * (np.mean(shares) - reach), 100 * (np.mean(shares) + reach)
    assert of_difference(one, other, subjects) == pytest.approx(expected)
    assert all(map(math.isnan, of_difference([1, 0], [0, 0], [5, 5])))
    shuffled = rng.permutation(48)
    assert of_difference(one[shuffled], other[shuffled], subjects[shuffled]) == pytest.approx(expected)


def test_a_difference_of_a_photo_each_is_newcombes():
    one, other = [1, 1, 0, 0, 1, 0, 1], [1, 0, 0, 1, 0, 0, 0]
    assert pairs_of(one, other) == Pairs(1, 3, 1, 2)
    expected = [100 * limit for limit in newcombe(Pairs(1, 3, 1, 2))]
    assert of_difference(one, other, range(7)) == pytest.approx(expected)


@pytest.mark.parametrize("alike", [0.0, 0.6, 1.0])
def test_nineteen_of_twenty_intervals_hold_the_truth(alike):
    """Three photos a subject, which share their fate with probability `alike`; a plain count of faces would fail."""
    rng, held, naive, share, subjects = np.random.default_rng(1), 0, 0, 0.7, np.repeat(np.arange(60), 3)
    for _ in range(400):
        own, each = rng.random(60) < share, rng.random((60, 3)) < share
        hidden = np.where(rng.random((60, 1)) < alike, own[:, None], each).ravel()
        low, high = of_share(hidden, subjects)
        held += low <= 100 * share <= high
        low, high = of_share(hidden, range(180))
        naive += low <= 100 * share <= high
    assert held >= 0.92 * 400  # 0.95, less twice the error of so many draws
    assert alike < 1 or naive < 0.85 * 400
