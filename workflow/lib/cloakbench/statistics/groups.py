"""Groups of faces, by what is known of the photograph or the person: are all protected alike? Data frames only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from cloakbench.statistics.intervals import of_difference, of_share
from cloakbench.statistics.psr import hidden_faces, percent
from cloakbench.statistics.unpaired import Estimate, apart

LEAST = 10  # subjects: of fewer no rate is told
TERTILES = ("low", "middle", "high")
UNKNOWN, REST = "unknown", "rest"
FEW = f"fewer than {LEAST} subjects"
RATES = ["psr", "psr_low", "psr_high"]
GAINS = ["gain", "gain_low", "gain_high"]
APART = ["difference", "difference_low", "difference_high"]
GAINS_APART = [f"gain_{name}" for name in APART]
COUNTS = ["subjects", "n", "hidden"]
COLUMNS = ["by", "group", "lowest", "highest", "top_k", *COUNTS, *RATES, *GAINS, "than", *APART, *GAINS_APART, "note"]
Faces = pd.MultiIndex  # of subject and photo


class Group(NamedTuple):
    """Faces that a property or an attribute, `by`, puts together.

    lowest, highest: of its values, where these are numbers. than, others: with whom it is compared, by name, and their
    faces; empty where it is with nobody.
    """

    by: str
    name: str
    faces: Faces
    lowest: float = np.nan
    highest: float = np.nan
    than: str = ""
    others: Faces | None = None


def tertiles(by: str, values: pd.Series) -> Iterator[Group]:
    """Three groups of about as many faces, low, middle and high; faces without a value are `unknown`.

    values: by subject and photo. With t1, t2 the smallest values that a third, and two thirds, of the faces do not
    exceed: low <= t1 < middle <= t2 < high. Equal values stay together; a group that is left without a face is none.

    >>> faces = pd.MultiIndex.from_product([range(4), [0]], names=["subject", "photo"])
    >>> [(group.name, len(group.faces)) for group in tertiles("height", pd.Series([1.0, 2.0, 2.0, 9.0], faces))]
    [('low', 3), ('high', 1)]
    """
    known = values.dropna()
    n, thirds = len(known), len(TERTILES)
    cuts = np.sort(known)[[-(-step * n // thirds) - 1 for step in range(1, thirds)]] if n else []
    places = np.searchsorted(cuts, known, side="left")
    parts = {name: known[places == place] for place, name in enumerate(TERTILES)}
    for name, part in parts.items():
        if len(part):
            compared = name == "high"
            others = (TERTILES[0], parts[TERTILES[0]].index) if compared else ()
            yield Group(by, name, part.index, part.min(), part.max(), *others)
    if len(known) < len(values):
        yield Group(by, UNKNOWN, values[values.isna()].index)


def categories(by: str, values: pd.Series) -> Iterator[Group]:
    """A group a value, compared with all other faces of which there is one; an empty one is `unknown`.

    values: text by subject and photo. Values that fewer than LEAST subjects have are put together and not named: with
    so few people a name of a group may be the name of a person.
    """
    blank = values.isin(["", UNKNOWN])
    known = values[~blank]
    large = [value for value in sorted({*known}) if _people(known[known == value]) >= LEAST]
    for value in large:
        own = known == value
        yield Group(by, value, known[own].index, than=REST, others=known[~own].index)
    if len(few := known[~known.isin(large)]):
        yield Group(by, FEW, few.index)
    if blank.any():
        yield Group(by, UNKNOWN, values[blank].index)


def by_group(
    cell: pd.DataFrame, clean: pd.DataFrame | None, groups: Iterable[Group], k: int, missed: str = "protected"
) -> pd.DataFrame:
    """A row a group of one cell, with COLUMNS; rates in percent, differences in percentage points, with 95 % intervals.

    cell, clean: a row a face with subject, photo, detected and rank; clean, the same faces without a cloak, None where
    the cell itself is without. k, missed: as `psr.protection` takes them. psr: the share of the n faces that is hidden
    (`intervals.of_share`); gain: psr minus that of the same faces without a cloak (`intervals.of_difference`).
    difference, gain_difference: psr and gain minus those of the group `than`, other people (`unpaired.apart`). Where a
    group, or that one, has fewer than LEAST subjects all rates, and what they would follow from, are empty.
    """
    now = hidden_faces(cell, k, missed)
    plain = pd.Series(dtype=float) if clean is None else hidden_faces(clean, k, missed)
    before = plain.reindex(now.index).to_numpy(float)
    seen = Seen(now.index, now.index.get_level_values("subject").to_numpy(), now.to_numpy(), before)
    rows = [_row(group, seen) | {"top_k": k} for group in groups]
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype(dict.fromkeys(COUNTS, "Int64"))


class Seen(NamedTuple):
    """Faces of a cell that count: which, whose, whether they are hidden, 1 or 0, and whether they are without a cloak,
    nan where that does not count."""

    faces: Faces
    subjects: np.ndarray
    hidden: np.ndarray
    clean: np.ndarray

    def among(self, faces: Faces) -> Seen:
        return self.where(self.faces.isin(faces))

    def where(self, kept: np.ndarray) -> Seen:
        return Seen(*(part[kept] for part in self))

    @property
    def people(self) -> int:
        return len(np.unique(self.subjects))


def _row(group: Group, seen: Seen) -> dict[str, object]:
    known = group.by, group.name, group.lowest, group.highest, group.than
    row = dict(zip(("by", "group", "lowest", "highest", "than"), known, strict=True))
    shown = seen.among(group.faces)
    row |= {"subjects": shown.people, "n": len(shown.hidden)}
    if row["subjects"] < LEAST:
        return row | {"note": FEW}
    own = _estimates(shown)
    row |= {"hidden": int(shown.hidden.sum())} | dict(zip([*RATES, *GAINS], (*own[0], *own[1]), strict=True))
    if group.others is None:
        return row
    others = seen.among(group.others)
    if others.people < LEAST:
        return row | {"note": f"{group.than}: {FEW}"}
    differences = [apart(one, other) for one, other in zip(own, _estimates(others), strict=True)]
    return row | dict(zip([*APART, *GAINS_APART], (*differences[0], *differences[1]), strict=True))


def _estimates(shown: Seen) -> tuple[Estimate, Estimate]:
    """PSR of some of a cell's faces, and its gain over the same ones without a cloak, as far as both count."""
    rate = Estimate(percent(shown.hidden == 0), *of_share(shown.hidden, shown.subjects))
    alike = shown.where(~np.isnan(shown.clean))
    if not len(alike.hidden):
        return rate, Estimate(np.nan, np.nan, np.nan)
    gain = 100 * float((alike.hidden - alike.clean).mean())
    return rate, Estimate(gain, *of_difference(alike.hidden, alike.clean, alike.subjects))


def _people(faces: pd.Series) -> int:
    return faces.index.get_level_values("subject").nunique()
