"""Protection against its cost: fronts by comparing all pairs, the needed budget by plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloakbench.statistics import front as module
from cloakbench.statistics.front import budgets_needed, front, isotonic, needed, on_front, rising, told

points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_the_front_is_what_nothing_beats(cells):
    found = on_front(*zip(*cells, strict=True))
    for one, kept in zip(cells, found, strict=True):
        beaten = any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in cells)
        assert kept == (not beaten)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_isotonic_is_the_nearest_rising_sequence(values):
    """Of all sequences whose levels are means of runs of the values, by trying every way to cut them into runs."""
    found, best = isotonic(values), math.inf
    assert (np.diff(found) >= -1e-12).all()
    for cuts in itertools.product([0, 1], repeat=len(values) - 1):
        runs = np.split(np.array(values, float), [i + 1 for i, cut in enumerate(cuts) if cut])
        levels = np.concatenate([np.full(len(run), run.mean()) for run in runs])
        if (np.diff(levels) >= -1e-12).all():
            best = min(best, ((levels - values) ** 2).sum())
    assert ((found - values) ** 2).sum() == pytest.approx(best, abs=1e-9)


def faces(*rates: int) -> np.ndarray:
    """(100, budgets): of a hundred faces so many are hidden at each budget, the first ones."""
    return (np.arange(100)[:, None] < np.array(rates)).astype(int)


@pytest.mark.parametrize(
    "rates, share, place",
    [
        ((0, 50, 100), 50, 1),
        ((0, 40, 60, 80), 50, 1.5),
        ((60, 70), 50, -math.inf),
        ((50, 70), 50, 0),
        ((0, 49), 50, math.inf),
        ((10, 60, 40, 90), 50, 1),  # 60 and 40 are pooled
        ((10, 20, 95), 90, 1 + 70 / 75),
    ],
)
def test_the_needed_budget(rates, share, place):
    found = needed(rising(faces(*rates), range(100)), share)
    assert found.place == pytest.approx(place) and found.low <= found.place <= found.high


def test_its_interval_is_of_drawn_subjects():
    """By plain loops over the same draws; three faces a subject go together."""
    rng = np.random.default_rng(5)
    hidden, subjects = (rng.random((60, 3)) < [0.2, 0.5, 0.9]).astype(int), np.repeat(np.arange(20), 3)
    draws = np.random.default_rng(module.SEED).multinomial(20, [1 / 20] * 20, size=module.DRAWS)
    drawn = []
    for times in draws:
        rows = np.concatenate([np.repeat(np.flatnonzero(subjects == s), n) for s, n in enumerate(times)])
        rates = isotonic(100 * hidden[rows].mean(axis=0))
        if rates[0] > 50:
            drawn.append(-math.inf)
        elif rates[-1] < 50:
            drawn.append(math.inf)
        else:
            drawn.append(next(x / 1000 for x in range(2001) if np.interp(x / 1000, [0, 1, 2], rates) >= 50 - 1e-9))
    drawn.sort()
    found = needed(rising(hidden, subjects), 50)
    assert (found.low, found.high) == pytest.approx((drawn[24], drawn[974]), abs=2e-3)


def test_nothing_is_said_beyond_the_grid():
    low, high = (needed(rising(faces(rate, rate), range(100)), 50) for rate in (100, 0))
    assert [told(place, [4, 128]) for place in low] == ["< 4"] * 3
    assert [told(place, [4, 128]) for place in high] == ["not reached at 128"] * 3
    assert told(0.5, [4, 8]) == "6.0" and told(0.5, [0.99, 0.97], 3) == "0.980"
    assert told(-np.inf, [0.95], 3, ">") == "> 0.95"  # of one budget: a smaller one leaves more


QUALITY = pd.DataFrame(
    [
        {"source": "a", "attack": attack, "eps": eps, "storage": "j", "measure": measure, "median": value}
        for attack, eps, values in (("bim", 4, (0.98, 40)), ("bim", 8, (0.94, 36)), ("mi", 4, (0.97, 39)))
        for measure, value in zip(("ssim", "psnr"), values, strict=True)
    ]
)


def test_the_tables():
    psr = pd.DataFrame(
        [
            {"source": "a", "attack": attack, "eps": eps, "storage": "j", "target": "b", "top_k": k, "psr": value}
            for attack, eps, value in (("clean", 0, 0.0), ("bim", 4, 20.0), ("bim", 8, 60.0), ("mi", 4, 60.0))
            for k in (1, 5)
        ]
    ).assign(psr_low=0.0, psr_high=100.0)
    found = front(psr, QUALITY, 1).set_index(["attack", "eps"])
    assert found["front_eps"].to_dict() == {("bim", 4): False, ("bim", 8): False, ("mi", 4): True}
    assert found["front_ssim"].to_dict() == {("bim", 4): True, ("bim", 8): False, ("mi", 4): True}
    assert found.loc[("mi", 4), ["ssim", "psnr"]].tolist() == [0.97, 39]


def test_the_budget_stands_beside_the_ssim_that_it_leaves():
    cell = {"photo": 0, "source": "a", "attack": "bim", "storage": "j", "target": "b", "detected": 1, "classes": 9}
    of_each = [(eps, rank, subject) for eps, rank in ((4, 0), (8, 9)) for subject in range(30)]
    rows = [cell | {"subject": subject, "eps": eps, "rank": rank} for eps, rank, subject in of_each]
    found = budgets_needed(pd.DataFrame(rows).astype({"rank": "Int64"}), QUALITY, 1).set_index("share")
    assert found.loc[50, ["eps", "ssim"]].tolist() == ["6.0", "0.960"]
    assert found.loc[90, ["eps", "eps_low", "eps_high", "ssim"]].tolist() == ["7.6", "7.6", "7.6", "0.944"]


def test_of_dropped_faces_those_count_that_were_found_at_every_budget():
    cell = {"photo": 0, "source": "a", "attack": "bim", "storage": "j", "target": "b", "classes": 9}
    of_each = [(4, 0, 0), (4, 9, 1), (4, 9, 2), (8, 9, 0), (8, 9, 1), (8, None, 2)]
    rows = [
        cell | {"subject": subject, "eps": eps, "rank": rank, "detected": int(rank is not None)}
        for eps, rank, subject in of_each
    ]
    ranks = pd.DataFrame(rows).astype({"rank": "Int64"})
    shares = {missed: budgets_needed(ranks, QUALITY, 1, missed)["eps"].tolist() for missed in ("protected", "drop")}
    assert shares == {"protected": ["< 4", "6.8"], "drop": ["4.0", "7.2"]}
