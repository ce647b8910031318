"""Protection Success Rate: from the rank of every face to percentages with intervals. Data frames only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cloakbench.errors import InputError
from cloakbench.statistics.intervals import NONE, of_difference, of_share
from cloakbench.study.grid import CLEAN
from cloakbench.study.keys import NAMES

FACE = ["subject", "photo"]
MISSED = {
    "protected": "a face that was not found again counts as protected",
    "drop": "faces that were not found again are left out, and a cell of which none was found is empty",
    "whole_crop": "where no face was found again the whole picture was judged",
}
ROUNDED = 2e-6  # a difference of two scores


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
    Intervals are Wilson's at 95 %, in percent, with the subject as the unit (`intervals.of_share`); `subjects` is their
    number.
    baseline: by target, the ranks of the same faces when they are neither attacked nor stored: psr_photo is their
    PSR, beside which the clean cell says what storing a crop costs. outside: the mean share, in percent, of what the
    target saw that lay outside the stored pictures.
    classes: how many people the target names. lost, unnamed, named: the shares of all faces that were not found again,
    found and not named, found and named; they add to 100. gain: PSR minus that of the same faces in the clean cell, in
    percentage points, with its interval (`intervals.of_difference`).
    A cell of which nothing is left, as dropping the missed can do, has its row: n = 0 and no percentages.
    Raises InputError for ranks that are damaged, and for a k at which a target would recognise everybody.
    """
    keys = [key for key in NAMES if key in ranks]
    _refuse_damage(ranks, keys)
    _refuse_large_k(ranks, top_k)
    alike = [*(key for key in keys if key not in CLEAN), *FACE]  # the same face, where it was not attacked
    clean = ranks[ranks["attack"] == CLEAN["attack"]].set_index(alike)[["rank", "detected"]].add_prefix("clean_")
    beside = clean.reindex(pd.MultiIndex.from_frame(ranks[alike])).set_index(ranks.index)
    rows = []
    for values, group in pd.concat([ranks, beside], axis=1).groupby(keys, sort=False):
        cell = dict(zip(keys, values, strict=True))
        shown = np.asarray((baseline or {}).get(cell["target"], []), int)
        faces = counted(group, missed)
        paired = _paired(faces, missed)
        for k in top_k:
            more = _more(group, faces, k) | _gain(paired, k)
            rows.append(cell | _rates(faces, k) | {"psr_photo": percent(shown < k)} | more)
    return pd.DataFrame(rows)


def counted(faces: pd.DataFrame, missed: str, detected: str = "detected") -> pd.DataFrame:
    """The faces that make the N of their cells."""
    return faces[(faces[detected] == 1).fillna(False)] if missed == "drop" else faces


def hidden(rank: pd.Series, k: int) -> pd.Series:
    """Whether the true identity is not among the first k, or no face was found: 1 or 0."""
    named = rank.to_numpy(float, na_value=np.nan) < k
    return pd.Series(np.where(named, 0, 1), rank.index)


def hidden_faces(faces: pd.DataFrame, k: int, missed: str) -> pd.Series:
    """By subject and photo, of the faces that count: 1 hidden, 0 named."""
    return hidden(counted(faces, missed).set_index(FACE)["rank"], k)


def hidden_by_cell(ranks: pd.DataFrame, top_k: Sequence[int], missed: str = "protected") -> dict[tuple, pd.Series]:
    """By the keys of a cell and k, of each face that counts whether it is hidden, 1 or 0, by subject and photo."""
    keys = [key for key in NAMES if key in ranks]
    cells = counted(ranks, missed).set_index(FACE).groupby(keys, sort=False)
    return {(*values, k): hidden(faces["rank"], k) for values, faces in cells for k in top_k}


def _rates(faces: pd.DataFrame, k: int) -> dict[str, float]:
    """Of the faces of a cell that count."""
    named = hidden(faces["rank"], k).to_numpy() == 0
    named_clean = hidden(faces["clean_rank"], k).to_numpy() == 0
    detected = _found(faces["detected"])
    low, high = of_share(~named, faces["subject"])
    return {
        "top_k": k,
        "n": len(faces),
        "detected": int(detected.sum()),
        "recognised": int(named.sum()),
        "psr": percent(named),
        "psr_low": low,
        "psr_high": high,
        "psr_detected": percent(named[detected]),
        "n_clean": int(named_clean.sum()),
        "psr_clean": percent(named[named_clean]),
        "subjects": faces["subject"].nunique(),
    }


def _more(group: pd.DataFrame, faces: pd.DataFrame, k: int) -> dict[str, float]:
    """What was added later, and so stands in later columns. faces: those of the group that count."""
    found = _found(group["detected"])
    named = found & (hidden(group["rank"], k).to_numpy() == 0)
    shares = {"lost": ~found, "unnamed": found & ~named, "named": named}
    told = {"outside": faces["outside"].mean(), "classes": int(group["classes"].iloc[0])}
    return told | {name: 100 * float(share.mean()) for name, share in shares.items()}


def _found(detected: pd.Series) -> np.ndarray:
    return detected.to_numpy(float, na_value=np.nan) == 1


def _paired(faces: pd.DataFrame, missed: str) -> pd.DataFrame:
    """Of the faces that count those that do without a cloak, too; none where that is not known, or where there is no
    cloak."""
    paired = counted(faces, missed, "clean_detected")
    none = paired.empty or paired["attack"].iloc[0] == CLEAN["attack"] or paired["clean_detected"].isna().any()
    return paired[:0] if none else paired


def _gain(paired: pd.DataFrame, k: int) -> dict[str, float]:
    """PSR minus that of the same faces without a cloak; empty of none."""
    gain, limits = float("nan"), NONE
    if len(paired):
        cloaked, clean = (hidden(paired[name], k).to_numpy() for name in ("rank", "clean_rank"))
        gain, limits = 100 * float((cloaked - clean).mean()), of_difference(cloaked, clean, paired["subject"])
    return dict(zip(("gain", "gain_low", "gain_high"), (gain, *limits), strict=True))


def percent(recognised: Sequence[int]) -> float:
    """Equation 5 over indicators; not a number when there are none.

    >>> percent(np.array([True, False, False, False]))
    75.0
    """
    return 100 - 100 / len(recognised) * int(np.sum(recognised)) if len(recognised) else float("nan")


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
        | _contradicted(ranks)
    ]
    if len(odd):
        raise InputError(f"ranks: impossible row {odd.iloc[0].to_dict()}")
    counts = ranks.groupby("target", sort=False)["classes"].unique()
    mixed = counts[counts.map(len) > 1]
    if len(mixed):
        raise InputError(f"ranks: target {mixed.index[0]} with {' and '.join(map(str, mixed.iloc[0]))} classes")


def _contradicted(ranks: pd.DataFrame) -> pd.Series:
    """Where a gallery's scores say otherwise than its rank who the face is most like, by more than they are rounded."""
    if "own_score" not in ranks:
        return pd.Series(False, index=ranks.index)
    ahead = ranks["own_score"].astype(float) - ranks["other_score"].astype(float)
    first = (ranks["rank"] == 0).fillna(False).astype(bool)
    return (first & (ahead < -ROUNDED)) | (~first & (ahead > ROUNDED))


def _refuse_large_k(ranks: pd.DataFrame, top_k: Sequence[int]) -> None:
    """Among k classes and fewer everybody is within the first k: that says nothing of a cloak."""
    k = max(top_k)
    for target, classes in ranks.groupby("target", sort=False)["classes"].first().items():
        if k >= classes:
            raise InputError(
                f"top_k: {k}, but target {target} names {classes} classes, so that everybody would be recognised; "
                f"accepted: a k below {classes}, or a target that names more"
            )
