"""The same study again: other people, other random numbers of the attacks, or another machine. Three kinds of spread
that say different things and are never put together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t
from statsmodels.stats.proportion import proportions_chisquare

from cloakbench.statistics.intervals import LEVEL, effective_n, of_share
from cloakbench.statistics.psr import hidden_by_cell
from cloakbench.study.keys import NAMES


class Components(NamedTuple):
    """Variances of a share: between subjects, between repeats, of a subject from repeat to repeat; of the mean."""

    subjects: float
    repeats: float
    both: float
    mean: float


def draws(studies: Sequence[pd.DataFrame], k: int, missed: str = "protected") -> pd.DataFrame:
    """Of disjoint subjects, a row a cell: PSR of all faces together at k with its interval (`intervals.of_share`), the
    lowest and the highest draw, the p of their being alike (chi-squared, of as many trials as `intervals.effective_n`
    gives), and, as `spread`, how far draws lie apart beyond what so few subjects bring about, in percentage points;
    where p < .05, `psr_low` and `psr_high` are Student's over draws, for other people are what varies.

    studies: the ranks of each, as `psr.protection` takes them.
    """
    rows = []
    for cell, found in _cells(studies, k, missed):
        rates = 100 * np.array([float(one.mean()) for one in found])
        sizes = np.array([effective_n(one, one.index.get_level_values("subject")) for one in found])
        counts = rates / 100 * sizes
        together = pd.concat(found, keys=range(len(found)), names=["draw"])
        share = 100 * float(together.mean())
        low, high = of_share(together, together.groupby(level=["draw", "subject"]).ngroup())
        alike = 0 < share < 100
        p = float(proportions_chisquare(counts, sizes)[1]) if alike else 1.0
        if p < 0.05:
            reach = t.ppf(LEVEL, len(rates) - 1) * rates.std(ddof=1) / math.sqrt(len(rates))
            low, high = max(0.0, rates.mean() - reach), min(100.0, rates.mean() + reach)
        told = {"draws": len(found), "n": len(together), "psr": share, "psr_low": low, "psr_high": high}
        told |= {"lowest": rates.min(), "highest": rates.max(), "p": p, "spread": 100 * beyond_chance(counts, sizes)}
        rows.append(cell | told)
    return pd.DataFrame(rows)


def beyond_chance(counts: Sequence[float], sizes: Sequence[float]) -> float:
    """The standard deviation between draws that their sizes do not explain: tau^2 = s^2 - p (1 - p) / n, at least 0.

    >>> round(beyond_chance([50, 30, 58, 40, 61], [62] * 5) ** 2, 5)
    0.04013
    """
    rates, share = np.array(counts) / sizes, sum(counts) / sum(sizes)
    return math.sqrt(max(0.0, float(rates.var(ddof=1)) - share * (1 - share) / float(np.mean(sizes))))


def noise(studies: Sequence[pd.DataFrame], k: int, missed: str = "protected") -> pd.DataFrame:
    """Of the same faces with other random numbers of the attacks, a row a cell: `rounding`'s columns, the mean PSR,
    and, in percentage points, the standard deviations that `components` tells apart of subjects: between repeats
    (`between`), and of the mean as it would be with other people and other repeats (`error`)."""
    rows = []
    for cell, found in _cells(studies, k, missed):
        wide = _beside(found)
        parts = components(wide.groupby(level="subject").mean())
        told = {
            "psr": 100 * float(wide.to_numpy().mean()),
            "between": 100 * math.sqrt(parts.repeats),
            "error": 100 * math.sqrt(parts.mean),
        }
        rows.append(cell | _reach(wide) | told)
    return pd.DataFrame(rows)


def rounding(studies: Sequence[pd.DataFrame], k: int, missed: str = "protected") -> pd.DataFrame:
    """Of the same faces and the same random numbers, computed elsewhere, a row a cell: lowest and highest PSR, their
    `difference`, and `changed`: the share of faces, in percent, that are hidden in some repeats and not in others.
    Nothing was drawn: no interval, no test."""
    return pd.DataFrame([cell | _reach(_beside(found)) for cell, found in _cells(studies, k, missed)])


def _reach(wide: pd.DataFrame) -> dict[str, float]:
    """How far apart the repeats of a cell lie. wide: as `_beside` gives it."""
    wide = wide.to_numpy()
    rates, changed = 100 * wide.mean(axis=0), 100 * float((wide.min(axis=1) != wide.max(axis=1)).mean())
    told = {"repeats": wide.shape[1], "n": len(wide), "lowest": rates.min(), "highest": rates.max()}
    return told | {"difference": float(np.ptp(rates)), "changed": changed}


def components(hidden: np.ndarray) -> Components:
    """(S, R) shares of S subjects' faces that are hidden in R repeats, crossed: from the mean squares of subjects,
    repeats and what is left (E), (MS_S - MS_E) / R, (MS_R - MS_E) / S and MS_E, none below 0;
    var(mean) = subjects / S + repeats / R + both / SR.

    >>> rows = ["111", "111", "000", "101", "001", "111", "000", "110"]
    >>> [round(part, 6) for part in components(np.array([[*map(int, row)] for row in rows]))]
    [0.136905, 0.0, 0.136905, 0.022817]
    """
    values = np.asarray(hidden, float)
    (people, repeats), mean = values.shape, values.mean()
    by_subject, by_repeat = values.mean(axis=1), values.mean(axis=0)
    left = values - by_subject[:, None] - by_repeat + mean
    ms_e = float((left**2).sum()) / max(1, (people - 1) * (repeats - 1))
    ms_s = repeats * float(((by_subject - mean) ** 2).sum()) / max(1, people - 1)
    ms_r = people * float(((by_repeat - mean) ** 2).sum()) / max(1, repeats - 1)
    subjects, between = max(0.0, (ms_s - ms_e) / repeats), max(0.0, (ms_r - ms_e) / people)
    return Components(subjects, between, ms_e, subjects / people + between / repeats + ms_e / (people * repeats))


def _beside(found: Sequence[pd.Series]) -> pd.DataFrame:
    """(faces, repeats) indicators of the faces that all have."""
    return pd.concat(found, axis=1, join="inner").astype(float)


def _cells(studies: Sequence[pd.DataFrame], k: int, missed: str) -> list[tuple[dict, list[pd.Series]]]:
    """Every cell that all studies have, and of each study which faces are hidden at k (`psr.hidden_by_cell`)."""
    keys, found = [key for key in NAMES if key in studies[0]], [hidden_by_cell(ranks, [k], missed) for ranks in studies]
    shared = [cell for cell in found[0] if all(cell in cells for cells in found)]
    return [(dict(zip(keys, cell[:-1], strict=True)), [cells[cell] for cells in found]) for cell in shared]
