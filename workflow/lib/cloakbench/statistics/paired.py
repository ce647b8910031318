"""Two attacks on the same faces: what one hides and the other does not, and whether that may be chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from cloakbench.errors import InputError
from cloakbench.study.grid import CLEAN
from cloakbench.study.keys import NAMES

ALPHA = 0.05
FACE = ["subject", "photo"]
COLUMNS = [
    "faces",
    "both",
    "only",
    "only_reference",
    "neither",
    "psr",
    "psr_reference",
    "difference",
    "low",
    "high",
    "p",
]


class Pairs(NamedTuple):
    """Faces that both hide, that one alone hides, the other alone, and neither."""

    both: int
    only: int
    only_reference: int
    neither: int


def compare(ranks: pd.DataFrame, reference: str, k: int, missed: str = "protected") -> pd.DataFrame:
    """Every attack against one of them: a row a cell of an attack, COLUMNS and `p_adjusted`, rates in percent.

    ranks, missed: as `psr.protection` takes them. difference: PSR minus that of the reference, in percentage points,
    with Newcombe's interval at 95 % (with several photos a subject, where that does not hold, without). p: mid-p of the
    exact sign-flip test over subjects, with one photo each McNemar's. p_adjusted: over the family of all attacks of a
    source, budget, storage and target, after Tarone and Holm.
    Raises InputError where the study has no such attack, or no k below a target's number of classes.
    """
    names = list(ranks["attack"].unique())
    if reference not in names or reference == CLEAN["attack"]:
        others = ", ".join(name for name in names if name != CLEAN["attack"])
        raise InputError(f"attack {reference!r} is not in this study; known: {others}")
    if k >= ranks["classes"].min():
        raise InputError(f"top-{k}: a target names {ranks['classes'].min()} classes; accepted: a k below")
    keys = [key for key in NAMES if key in ranks]
    hidden = ranks.assign(hidden=~(ranks["rank"] < k).fillna(False).astype(bool))
    if missed == "drop":
        hidden = hidden[hidden["detected"] == 1]
    family = [key for key in keys if key != "attack"]
    rows = []
    for values, cells in hidden[hidden["attack"] != CLEAN["attack"]].groupby(family, sort=False):
        faces = cells.pivot(index=FACE, columns="attack", values="hidden")
        shown = dict(zip(family, values, strict=True))
        found = [(name, faces[[name, reference]].dropna().astype(int)) for name in names if name in faces]
        tables = [
            shown | {"attack": name} | _row(*pair.T.to_numpy(), pair) for name, pair in found if name != reference
        ]
        adjusted = holm([row["p"] for row in tables], [row.pop("least_p") for row in tables])
        rows += [row | {"p_adjusted": p} for row, p in zip(tables, adjusted, strict=True)]
    return pd.DataFrame(rows, columns=[*keys, *COLUMNS, "p_adjusted"])


def _row(one: Sequence[int], other: Sequence[int], pair: pd.DataFrame) -> dict:
    counts = Counter(zip(one, other, strict=True))
    pairs = Pairs(*(counts[key] for key in ((1, 1), (1, 0), (0, 1), (0, 0))))
    differences = (pair.iloc[:, 0] - pair.iloc[:, 1]).groupby("subject").sum().tolist()
    alone = pair.index.get_level_values("subject").is_unique
    low, high = newcombe(pairs) if alone else (math.nan, math.nan)
    faces, psr, psr_reference = len(pair), 100 * pair.iloc[:, 0].mean(), 100 * pair.iloc[:, 1].mean()
    rates = (psr, psr_reference, psr - psr_reference, 100 * low, 100 * high)
    row = dict(zip(COLUMNS, (faces, *pairs, *rates, sign_flips(differences)), strict=True))
    return row | {"least_p": sign_flips([abs(one) for one in differences])}


def sign_flips(differences: Iterable[int]) -> float:
    """Mid-p, two-sided, of the sum of these under every choice of their signs, each as likely: counted, not drawn.

    With numbers of 1 and -1 alone it is McNemar's exact test with mid-p (Fagerland, Lydersen, Laake 2013).

    >>> round(sign_flips([1] * 8 + [-1]), 6), round(sign_flips([3, 2, 2, 1, 1, -1, 1]), 6), sign_flips([])
    (0.021484, 0.046875, 1.0)
    """
    moved = [int(one) for one in differences if one]
    sums = Counter({0: 1})
    for size in map(abs, moved):
        flipped: Counter[int] = Counter()
        for total, ways in sums.items():
            flipped[total + size] += ways
            flipped[total - size] += ways
        sums = flipped
    reached = abs(sum(moved))
    if not reached:
        return 1.0
    twice = sum(ways * (2 if abs(total) > reached else 1) for total, ways in sums.items() if abs(total) >= reached)
    return twice / 2 ** (len(moved) + 1)


def newcombe(pairs: Pairs) -> tuple[float, float]:
    """Method 10 of Newcombe (1998) for a difference of paired proportions, 95 %: Wilson's limits of both, and how much
    they go together.

    >>> [round(limit, 5) for limit in newcombe(Pairs(20, 12, 2, 16))]
    [0.05616, 0.32921]
    """
    a, b, c, d = pairs
    n = sum(pairs)
    if not n:
        return math.nan, math.nan
    first, second = (a + b) / n, (a + c) / n
    (low, high), (low_other, high_other) = (proportion_confint(count, n, method="wilson") for count in (a + b, a + c))
    product, together = (a + b) * (c + d) * (a + c) * (b + d), a * d - b * c
    together = max(together - n / 2, 0) if together > 0 else together
    phi = together / math.sqrt(product) if product else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    difference = first - second
    return difference - reach(first - low, high_other - second), difference + reach(high - first, second - low_other)


def holm(ps: Sequence[float], least: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """p adjusted by Holm (1979) among those that could be significant at all (Tarone 1990); 1 for the others.

    least: the smallest p that each could have.

    >>> holm([0.01, 0.04, 0.03, 0.005], [0.001] * 4)
    [0.03, 0.06, 0.06, 0.02]
    """
    family = next((size for size in range(1, len(ps) + 1) if sum(p <= alpha / size for p in least) <= size), 0)
    tested = [place for place, p in enumerate(least) if family and p <= alpha / family]
    adjusted = [1.0] * len(ps)
    if tested:
        for place, p in zip(tested, multipletests([ps[place] for place in tested], method="holm")[1], strict=True):
            adjusted[place] = float(p)
    return adjusted


def least_significant(subjects: int, tests: int, alpha: float = ALPHA) -> float:
    """The smallest difference, in percentage points, that can be significant among so many tests: all that differs
    differs in one direction. More than 100 where none can.

    >>> round(least_significant(62, 1), 1), round(least_significant(62, 5), 1)
    (8.1, 11.3)
    """
    discordant = next(count for count in range(1, 64) if 0.5**count <= alpha / tests)
    return 100 * discordant / subjects


def can_be_told(subjects: int, attacks: int) -> str:
    """What a study of so many subjects can show, said before it begins.

    >>> can_be_told(62, 6)
    'of 62 subjects, two attacks differ by 11.3 percentage points or more where that is told from chance'
    """
    least = least_significant(subjects, max(1, attacks - 1))
    if least > 100:
        return f"{subjects} subjects are too few to tell any difference between two attacks from chance"
    said = f"two attacks differ by {least:.1f} percentage points or more where that is told from chance"
    return f"of {subjects} subjects, {said}"
