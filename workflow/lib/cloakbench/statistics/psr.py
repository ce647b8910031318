"""Protection Success Rate: from the rank of every face to percentages with intervals. Data frames only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from cloakbench.errors import InputError
from cloakbench.study.grid import CLEAN
from cloakbench.study.keys import NAMES

FACE = ["subject", "photo"]


def protection(
    ranks: pd.DataFrame,
    top_k: Sequence[int],
    missed: str = "protected",
    baseline: Mapping[str, Sequence[int]] | None = None,
) -> pd.DataFrame:
    """One row a cell and k, by Equation 5: PSR = 100 - 100/N * (number of faces whose true class is in the top k).

    ranks: one row a face (the ranks files, one below the other). missed: what a face counts as that the detector
    did not find again: `protected`, `drop` (left out of N), or `whole_crop` (it has a rank of its own).
    Further columns: psr_detected is the PSR over the faces found again; psr_clean the PSR over the n_clean faces
    that the target names correctly at the same k when they are not attacked (empty without a clean cell).
    Intervals are Wilson's at 95 %, in percent; with several photos a subject the subject is the unit: they are as
    wide as if each subject had given one photo. `subjects` is their number.
    baseline: by target, the ranks of the same faces when they are neither attacked nor stored: psr_photo is their
    PSR, beside which the clean cell says what storing a crop costs. outside: the mean share, in percent, of what the
    target saw that lay outside the stored pictures.
    A cell of which nothing is left, as dropping the missed can do, has its row: n = 0 and no percentages.
    Raises InputError for ranks that are damaged, and for a k at which a target would recognise everybody.
    """
    keys = [key for key in NAMES if key in ranks]
    _refuse_damage(ranks, keys)
    _refuse_large_k(ranks, top_k)
    shown = [*(key for key in keys if key not in CLEAN), *FACE]  # the same face, where it was not attacked
    clean = ranks[ranks["attack"] == CLEAN["attack"]].set_index(shown)["rank"]
    faces = ranks.assign(clean_rank=clean.reindex(pd.MultiIndex.from_frame(ranks[shown])).to_numpy())
    rows = []
    for values, group in faces.groupby(keys, sort=False):
        cell, counted = dict(zip(keys, values, strict=True)), _counted(group, missed)
        unstored = [_unstored(counted, cell["target"], k, baseline or {}) for k in top_k]
        rows += [cell | _rates(counted, k) | more for k, more in zip(top_k, unstored, strict=True)]
    return pd.DataFrame(rows)


def _unstored(faces: pd.DataFrame, target: str, k: int, baseline: Mapping[str, Sequence[int]]) -> dict[str, float]:
    shown = pd.Series(baseline.get(target, []), dtype=int)
    return {"psr_photo": percent(shown < k), "outside": faces["outside"].mean()}


def _counted(faces: pd.DataFrame, missed: str) -> pd.DataFrame:
    """The faces of a cell that make its N: filtered here, within the cell, so that no cell gets lost."""
    return faces[faces["detected"] == 1] if missed == "drop" else faces


def _rates(faces: pd.DataFrame, k: int) -> dict[str, float]:
    recognised = (faces["rank"] < k).fillna(False).astype(bool)
    detected = faces["detected"] == 1
    named_clean = (faces["clean_rank"] < k).fillna(False).astype(bool)
    subjects = faces["subject"].nunique()
    low, high = _wilson(percent(recognised), subjects)
    return {
        "top_k": k,
        "n": len(faces),
        "detected": int(detected.sum()),
        "recognised": int(recognised.sum()),
        "psr": percent(recognised),
        "psr_low": low,
        "psr_high": high,
        "psr_detected": percent(recognised[detected]),
        "n_clean": int(named_clean.sum()),
        "psr_clean": percent(recognised[named_clean]),
        "subjects": subjects,
    }


def percent(recognised: pd.Series) -> float:
    """Equation 5 over a series of indicators; not a number when there are none.

    >>> percent(pd.Series([True, False, False, False]))
    75.0
    """
    return 100 - 100 / len(recognised) * int(recognised.sum()) if len(recognised) else float("nan")


def _wilson(psr: float, subjects: int) -> tuple[float, float]:
    if not subjects:
        return float("nan"), float("nan")
    low, high = proportion_confint(psr / 100 * subjects, subjects, method="wilson")
    return 100 * low, 100 * high


def _refuse_damage(ranks: pd.DataFrame, keys: Sequence[str]) -> None:
    """No table from parts that do not fit together: every cell has each face once, and the same faces."""
    twice = ranks.duplicated([*keys, *FACE])
    if twice.any():
        raise InputError(f"ranks: face twice in one cell: {ranks.loc[twice, [*keys, *FACE]].iloc[0].to_dict()}")
    cells = ranks.groupby(list(keys), sort=False).size()
    faces = ranks.drop_duplicates(FACE).shape[0]
    short = cells[cells != faces]
    if len(short):
        raise InputError(
            f"ranks: cell {dict(zip(keys, short.index[0], strict=True))} has {short.iloc[0]} faces, not {faces}"
        )
    odd = ranks[
        (ranks["rank"] < 0)
        | (ranks["rank"] >= ranks["classes"])
        | ranks["classes"].isna()
        | ~ranks["detected"].isin([0, 1])
        | (ranks["rank"].isna() & (ranks["detected"] == 1))
    ]
    if len(odd):
        raise InputError(f"ranks: impossible row {odd.iloc[0].to_dict()}")
    counts = ranks.groupby("target", sort=False)["classes"].unique()
    mixed = counts[counts.map(len) > 1]
    if len(mixed):
        raise InputError(f"ranks: target {mixed.index[0]} with {' and '.join(map(str, mixed.iloc[0]))} classes")


def _refuse_large_k(ranks: pd.DataFrame, top_k: Sequence[int]) -> None:
    """Among k classes and fewer everybody is within the first k: that says nothing of a cloak."""
    k = max(top_k)
    for target, classes in ranks.groupby("target", sort=False)["classes"].first().items():
        if k >= classes:
            raise InputError(
                f"top_k: {k}, but target {target} names {classes} classes, so that everybody would be recognised; "
                f"accepted: a k below {classes}, or a target that names more"
            )
