"""The ladder: which step between a crafted face and a searcher costs it its protection. Data frames only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.statistics.intervals import of_difference, of_share, pairs_of
from cloakbench.statistics.psr import FACE, hidden_faces, percent

RATE = ["n", "hidden", "psr", "psr_low", "psr_high", "lost"]
STEP = ["both", "only", "only_before", "neither", "difference", "low", "high"]
DESTROYED = ["worked", "destroyed", "destroyed_low", "destroyed_high"]
COLUMNS = ["rung", "judged_by", "before", "top_k", *RATE, *STEP, *DESTROYED]
COUNTS = ["n", "hidden", "lost", "both", "only", "only_before", "neither", "worked"]


class Rung(NamedTuple):
    """What somebody makes of a cell's faces after one more step.

    name: clean, crafted, stored, found or other. faces, and clean, what the same one makes of them without a cloak: a
    row a face with subject, photo, detected and rank.
    """

    name: str
    judged_by: str
    faces: pd.DataFrame
    clean: pd.DataFrame


def climb(own: Sequence[Rung], others: Sequence[Rung], k: int, missed: str = "protected") -> pd.DataFrame:
    """A row a rung, with COLUMNS; rates in percent, what cannot be told is empty.

    own: the rungs that the recogniser judges that the faces were crafted on, in order, the clean faces first; others:
    those of other targets, which are compared with its last one. k, missed: as `psr.protection` takes them. hidden of n
    faces, and psr with its interval (`intervals.of_share`). lost: faces that were not found again.
    On the same faces as the rung before: both ... neither, hidden on both rungs, on this one only, on the one before
    only, on neither; difference: of their shares, in percentage points, with its interval (`intervals.of_difference`).
    Of the faces that are named when they are clean and hidden as crafted, `worked` of them, `destroyed` is the share
    that is named here; of `unrounded` ones, which come before, nothing is told.
    Raises InputError for rungs of different faces.
    """
    rungs, before = [*own, *others], [None, *own[:-1], *[own[-1]] * len(others)]
    for rung in rungs:
        if {*_faces(rung.faces)} ^ {*_faces(own[0].faces)}:
            raise InputError(f"{rung.name}, judged by {rung.judged_by}: other faces than {own[0].name}; run again")
    crafted = next((hidden_faces(rung.faces, k, missed) for rung in own if rung.name == "crafted"), None)
    rows = []
    for rung, earlier in zip(rungs, before, strict=True):
        now = hidden_faces(rung.faces, k, missed)
        row = {"rung": rung.name, "judged_by": rung.judged_by, "top_k": k, **_rate(now)}
        row |= {"lost": int((rung.faces["detected"] != 1).sum()), "before": ""}
        if earlier is not None:
            row |= {"before": earlier.name, **_step(now, hidden_faces(earlier.faces, k, missed))}
            if crafted is not None and rung.name != "unrounded":
                row |= destruction(hidden_faces(rung.clean, k, missed), crafted, now)
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype(dict.fromkeys(COUNTS, "Int64"))


def destruction(clean: pd.Series, crafted: pd.Series, now: pd.Series) -> dict[str, float]:
    """How many of the adversarial faces a step destroys (Kurakin, Goodfellow, Bengio 2016): with C, X and T the faces
    that are named when they are clean, crafted, and transformed,

    d = |C and not X and T| / |C and not X|.

    clean, crafted, now: of each face, by subject and photo, 1 where it is hidden and 0 where it is named.

    >>> faces = pd.MultiIndex.from_product([range(4), [0]], names=FACE)
    >>> clean, crafted, now = (pd.Series(shown, faces) for shown in ([0, 0, 0, 1], [1, 1, 0, 1], [0, 1, 0, 0]))
    >>> found = destruction(clean, crafted, now)
    >>> found["worked"], found["destroyed"]
    (2, 50.0)
    """
    alike = pd.concat([clean, crafted, now], axis=1, join="inner", keys=["clean", "crafted", "now"])
    worked = alike[(alike["clean"] == 0) & (alike["crafted"] == 1)]
    low, high = of_share(worked["now"] == 0, _subjects(worked))
    return dict(zip(DESTROYED, (len(worked), percent(worked["now"] == 1), low, high), strict=True))


def _rate(now: pd.Series) -> dict[str, float]:
    low, high = of_share(now, _subjects(now))
    return {"n": len(now), "hidden": int(now.sum()), "psr": percent(now == 0), "psr_low": low, "psr_high": high}


def _step(now: pd.Series, before: pd.Series) -> dict[str, float]:
    """Of the faces that count on both rungs."""
    alike = pd.concat([now, before], axis=1, join="inner", keys=["now", "before"])
    one, other = alike["now"].to_numpy(), alike["before"].to_numpy()
    difference = 100 * float((alike["now"] - alike["before"]).mean())
    interval = of_difference(one, other, _subjects(alike))
    return dict(zip(STEP, (*pairs_of(one, other), difference, *interval), strict=True))


def _faces(faces: pd.DataFrame) -> list[tuple[int, int]]:
    return [*faces[FACE].itertuples(index=False, name=None)]


def _subjects(faces: pd.Series | pd.DataFrame) -> pd.Index:
    return faces.index.get_level_values("subject")
