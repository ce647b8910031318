"""Two cloaks on the same faces: what one hides and the other does not, and whether that may be chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cloakbench.errors import InputError
from cloakbench.statistics.intervals import of_difference, pairs_of
from cloakbench.statistics.psr import FACE, counted, hidden
from cloakbench.study.grid import CLEAN
from cloakbench.study.keys import NAMES

ALPHA = 0.05
K = 1  # what is tested: a larger k holds the faces of a smaller one and says nothing of its own
COUNTS = ["faces", "both", "only", "only_reference", "neither"]
RATES = ["psr", "psr_reference", "difference", "low", "high"]
TRIED = ["p", "p_exact", "least_p", "subjects", "classes"]
TESTED = ["p", "p_exact", "p_adjusted", "tests", "least", "classes"]


def comparisons(ranks: pd.DataFrame, reference: str, missed: str = "protected") -> pd.DataFrame:
    """comparisons.csv: every attack against one of them, and every cloak against no cloak; two families of tests."""
    families = (compare(ranks, one, K, missed).assign(reference=one) for one in (reference, CLEAN["attack"]))
    table = pd.concat(families, ignore_index=True)
    return table[["reference", *(column for column in table if column != "reference")]]


def compare(ranks: pd.DataFrame, reference: str, k: int, missed: str = "protected") -> pd.DataFrame:
    """Every attack against one of them, or against `clean`, on the same faces: a row a cell, rates in percent.

    ranks, missed: as `psr.protection` takes them. both ... neither: faces that both hide, that it alone hides, that the
    reference alone hides, that neither does. difference: PSR minus that of the reference, in percentage points, with
    its interval at 95 % (`intervals.of_difference`). p: mid-p of the exact sign-flip test over subjects, with one photo
    each McNemar's; p_exact: the same without mid-p. p_adjusted: of p, after Tarone and Holm over all rows, `tests` of
    them; least: `least_significant` among so many. classes: how many people the target names.
    Raises InputError where the study has no such attack, or no k below a target's number of classes.
    """
    names = list(ranks["attack"].unique())
    if reference not in names:
        others = ", ".join(name for name in names if name != CLEAN["attack"])
        raise InputError(f"attack {reference!r} is not in this study; known: {others}")
    if k >= ranks["classes"].min():
        raise InputError(f"top-{k}: a target names {ranks['classes'].min()} classes; accepted: a k below")
    keys = [key for key in NAMES if key in ranks]
    faces = counted(ranks, missed).assign(hidden=lambda rows: hidden(rows["rank"], k))
    alike = [key for key in keys if key not in (CLEAN if reference == CLEAN["attack"] else ["attack"])] + FACE
    beside = faces[faces["attack"] == reference].set_index(alike)["hidden"]
    faces = faces[~faces["attack"].isin([reference, CLEAN["attack"]])]
    faces = faces.assign(reference=beside.reindex(pd.MultiIndex.from_frame(faces[alike])).to_numpy())
    paired = faces.dropna(subset="reference").sort_values("eps", kind="stable")
    cells = paired.groupby(keys, sort=False)
    rows = [dict(zip(keys, values, strict=True)) | _row(cell) for values, cell in cells]
    table = pd.DataFrame(rows, columns=[*keys, "top_k", *COUNTS, *RATES, *TRIED])
    sizes = zip(table["subjects"], table["faces"], strict=True)
    least = [least_significant(subjects, faces, len(table)) for subjects, faces in sizes]
    adjusted = holm(table["p"].to_list(), table["least_p"].to_list())
    table = table.assign(top_k=k, p_adjusted=adjusted, tests=len(table), least=least)
    return table[[*keys, "top_k", *COUNTS, *RATES, *TESTED]]


def _row(cell: pd.DataFrame) -> dict:
    one, other = (cell[name].to_numpy(int) for name in ("hidden", "reference"))
    more = pd.Series(one - other).groupby(cell["subject"].to_numpy()).sum().tolist()
    rates = (100 * one.mean(), 100 * other.mean(), 100 * float(np.mean(one - other)))
    told = dict(zip(COUNTS, (len(cell), *pairs_of(one, other)), strict=True))
    told |= dict(zip(RATES, (*rates, *of_difference(one, other, cell["subject"])), strict=True))
    sums, reached = flipped(more), abs(sum(more))
    ps = two_sided(sums, reached), two_sided(sums, reached, mid=False), two_sided(sums, max(sums))
    return told | dict(zip(TRIED, (*ps, len(more), cell["classes"].iloc[0]), strict=True))


def sign_flips(differences: Iterable[int]) -> float:
    """Mid-p, two-sided, of the sum of these under every choice of their signs, each as likely: counted, not drawn.

    With numbers of 1 and -1 alone it is McNemar's exact test with mid-p (Fagerland, Lydersen, Laake 2013).

    >>> round(sign_flips([1] * 8 + [-1]), 6), round(sign_flips([3, 2, 2, 1, 1, -1, 1]), 6), sign_flips([])
    (0.021484, 0.046875, 1.0)
    """
    differences = list(differences)
    return two_sided(flipped(differences), abs(sum(differences)))


def flipped(differences: Iterable[int]) -> Counter[int]:
    """Every sum of these under some choice of their signs, and by how many choices of those that are not 0.

    >>> sorted(flipped([2, 0, -1]).items())
    [(-3, 1), (-1, 1), (1, 1), (3, 1)]
    """
    sums = Counter({0: 1})
    for size in [abs(int(one)) for one in differences if one]:
        after: Counter[int] = Counter()
        for total, ways in sums.items():
            after[total + size] += ways
            after[total - size] += ways
        sums = after
    return sums


def two_sided(sums: Counter[int], reached: int, mid: bool = True) -> float:
    """The share of choices whose sum (`flipped`) is as far from 0 as `reached`, or farther.

    mid: those as far count half, as mid-p has it; else whole.

    >>> two_sided(flipped([1] * 8 + [-1]), 7, mid=False)
    0.0390625
    """
    if not reached:
        return 1.0
    equal = 1 if mid else 2
    twice = sum(ways * (2 if abs(total) > reached else equal) for total, ways in sums.items() if abs(total) >= reached)
    return twice / (2 * sums.total())


def holm(ps: Sequence[float], least: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """p adjusted by Holm (1979) among those that could be significant at all (Tarone 1990); 1 for the others.

    least: the smallest p that each could have.

    >>> holm([0.01, 0.04, 0.03, 0.005], [0.001] * 4)
    [0.03, 0.06, 0.06, 0.02]
    """
    family = next((size for size in range(1, len(ps) + 1) if sum(p <= alpha / size for p in least) <= size), 0)
    tested = [place for place, p in enumerate(least) if family and p <= alpha / family]
    adjusted, so_far = [1.0] * len(ps), 0.0
    # as statsmodels' multipletests, which sweeps the garbage of the whole process each time, for a second or more
    for rank, place in enumerate(sorted(tested, key=lambda place: ps[place])):
        so_far = max(so_far, ps[place] * (len(tested) - rank))
        adjusted[place] = min(1.0, so_far)
    return adjusted


def least_significant(subjects: int, faces: int, tests: int, alpha: float = ALPHA) -> float:
    """The smallest difference, in percentage points, that can be significant among so many tests whatever these come
    to: where all faces that differ differ in one direction, each another subject's. Faces that differ in both ask for
    more; a smaller one can be where enough other tests are, or where few could be (`holm`). Above 100: none.

    >>> round(least_significant(62, 62, 1), 1), round(least_significant(62, 62, 5), 1)
    (8.1, 11.3)
    """
    discordant = next(count for count in range(1, 64) if 0.5**count <= alpha / tests)
    return 100 * discordant / (faces if discordant <= subjects else subjects)


def can_be_told(subjects: int, faces: int, tests: int, reference: str) -> str:
    """What a study of so many subjects and comparisons with a reference can show at best, said before it begins.

    >>> can_be_told(62, 62, 5, "bim")
    'of 62 subjects, against bim: by itself a difference takes 11.3 points or more to be told from chance (5 tests)'
    """
    least = least_significant(subjects, faces, tests)
    if least > 100:
        return f"{subjects} subjects are too few to tell a difference to {reference} from chance ({tests} tests)"
    told = f"by itself a difference takes {least:.1f} points or more"
    return f"of {subjects} subjects, against {reference}: {told} to be told from chance ({tests} tests)"
