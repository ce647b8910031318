"""Protection against what it costs: which cells no other one beats, and the budget or quality that a share of protected
faces takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cloakbench.statistics.psr import FACE, counted, hidden
from cloakbench.study.keys import NAMES

SHARES = (50, 90)  # percent of the faces
DRAWS, SEED = 1000, 0  # of subjects, for intervals
SSIM = ["ssim", "ssim_from", "ssim_to"]  # at the eps beside it: the larger eps leaves the smaller SSIM


class Needed(NamedTuple):
    """Places along a grid of budgets, 1.5 half way between the second and the third, with a 95 % interval: -inf before
    the first, inf not reached at the last."""

    place: float
    low: float
    high: float


def on_front(protection: Sequence[float], quality: Sequence[float]) -> np.ndarray:
    """(n,) bool: of points that no other one beats in one of the two and equals or beats in the other (Pareto).

    >>> on_front([10, 50, 40, 50], [0.9, 0.8, 0.7, 0.6]).tolist()
    [True, True, False, False]
    """
    points = np.stack([np.asarray(protection, float), np.asarray(quality, float)], axis=1)
    at_least = (points[:, None] >= points[None]).all(axis=2)  # [i, j]: i is at least as good as j
    better = (points[:, None] > points[None]).any(axis=2)
    return ~(at_least & better).any(axis=0)


def rising(hidden: np.ndarray, subjects: Sequence[int]) -> np.ndarray:
    """(1 + DRAWS, budgets), percent: the rates of hidden faces, made to rise along the budgets; those of all faces,
    then those of each draw of as many subjects, each with all of its faces.

    hidden: (faces, budgets) indicators, the smallest budget first; subjects: whose each face is.
    """
    _, whose = np.unique(np.asarray(subjects), return_inverse=True)
    people = int(whose.max()) + 1
    sums = np.stack([np.bincount(whose, column, people) for column in np.asarray(hidden, float).T], axis=1)
    photos = np.bincount(whose).astype(float)
    weights = np.random.default_rng(SEED).multinomial(people, [1 / people] * people, size=DRAWS)
    drawn = (weights @ sums) / (weights @ photos)[:, None]
    rates = np.vstack([100 * sums.sum(axis=0) / photos.sum(), 100 * drawn])
    for row in np.flatnonzero((np.diff(rates, axis=1) < 0).any(axis=1)):
        rates[row] = isotonic(rates[row])
    return rates


def needed(rates: np.ndarray, share: float) -> Needed:
    """Where along the budgets a share of the faces, in percent, is protected.

    rates: as `rising` gives them, taken as straight between two budgets; nothing is said beyond the first and the last.
    """
    after = np.argmax(rates >= share, axis=1)
    lower, upper = (rates[range(len(rates)), at] for at in (np.maximum(after - 1, 0), after))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = after - 1 + (share - lower) / (upper - lower)
    places = np.where((upper == share) | (after == 0), after, between)
    places[rates[:, 0] > share], places[rates[:, -1] < share] = -np.inf, np.inf
    low, high = np.percentile(places[1:], [2.5, 97.5], method="inverted_cdf")
    return Needed(float(places[0]), float(low), float(high))


def isotonic(values: Sequence[float]) -> np.ndarray:
    """The rising sequence nearest to the values (pool adjacent violators, Ayer et al. 1955).

    >>> isotonic([1.0, 3.0, 2.0, 4.0]).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, n), (other, m) = blocks[-2:]
            blocks[-2:] = [[(one * n + other * m) / (n + m), n + m]]
    return np.repeat([mean for mean, _ in blocks], [int(count) for _, count in blocks])


def told(place: float, axis: Sequence[float], digits: int = 1, before: str = "<") -> str:
    """What lies at a place along the budgets, as a table shows it: their eps, or the SSIM that they leave.

    before: whether what lies before the first of the axis is smaller or larger.

    >>> told(1.5, [4, 8, 16]), told(-np.inf, [4, 8]), told(-np.inf, [0.9912], 3, ">"), told(np.inf, [0.99, 0.97], 3)
    ('12.0', '< 4', '> 0.991', 'not reached at 0.97')
    """
    if np.isneginf(place):
        return f"{before} {round(axis[0], digits):g}"
    if np.isposinf(place):
        return f"not reached at {round(axis[-1], digits):g}"
    return f"{np.interp(place, range(len(axis)), axis):.{digits}f}"


def front(psr: pd.DataFrame, quality: pd.DataFrame, k: int) -> pd.DataFrame:
    """front.csv: a row a cell, its PSR at k with its interval, the medians of SSIM and PSNR, and whether it is on the
    front of its target and storage: `front_eps`, `front_ssim`, `front_psnr`, by what protection is set against;
    classes, as psr.csv has it.

    psr, quality: the tables of those names. Clean cells cost nothing and are left out.
    """
    keys = ["source", "attack", "eps", "storage"]
    medians = quality[quality["measure"].isin(["ssim", "psnr"])].pivot(index=keys, columns="measure", values="median")
    cells = psr[(psr["top_k"] == k) & (psr["attack"] != "clean")]
    columns = [
        name for name in psr.columns if name in (*keys, "target", "top_k", "psr", "psr_low", "psr_high", "classes")
    ]
    cells = cells[columns].join(medians, on=keys).reset_index(drop=True)
    costs = {"front_eps": -cells["eps"], "front_ssim": cells["ssim"], "front_psnr": cells["psnr"]}
    for name, quality_of in costs.items():
        cells[name] = False
        for _, group in cells.groupby(["storage", "target"], sort=False):
            cells.loc[group.index, name] = on_front(group["psr"], quality_of[group.index])
    return cells


def budgets_needed(ranks: pd.DataFrame, quality: pd.DataFrame, k: int, missed: str = "protected") -> pd.DataFrame:
    """needed.csv: a row a source, attack, storage, target and share of SHARES, with the eps and the median SSIM at
    which that share of the faces is protected at k, and the ends of their 95 % intervals, as text; the interval of the
    SSIM is that of the eps, each with the study's median. classes: how many people the target names.

    ranks, missed: as `psr.protection` takes them; where the missed are dropped, of faces that were found at every eps.
    quality: the table.
    """
    keys = [key for key in NAMES if key in ranks and key != "eps"]
    ssim = quality[quality["measure"] == "ssim"].set_index(["source", "attack", "storage", "eps"])["median"]
    rows = []
    faces = counted(ranks[ranks["attack"] != "clean"], missed)
    for values, cell in faces.groupby(keys, sort=False):
        of = dict(zip(keys, values, strict=True))
        wide = cell.assign(hidden=hidden(cell["rank"], k)).pivot(index=FACE, columns="eps", values="hidden")
        wide = wide.dropna()
        if wide.empty:
            continue
        budgets = sorted(wide)
        seen = [float(ssim[of["source"], of["attack"], of["storage"], eps]) for eps in budgets]
        rates = rising(wide[budgets].to_numpy(int), wide.index.get_level_values("subject"))
        for share in SHARES:
            found = needed(rates, share)
            eps = [told(place, budgets) for place in found]
            rows.append(
                [*values, k, share, *eps, *(told(place, seen, 3, ">") for place in found), cell["classes"].iloc[0]]
            )
    return pd.DataFrame(rows, columns=[*keys, "top_k", "share", "eps", "eps_low", "eps_high", *SSIM, "classes"])
