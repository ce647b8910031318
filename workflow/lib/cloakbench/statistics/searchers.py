"""The strongest searcher: who has every recogniser of the study, and tries them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cloakbench.statistics.psr import FACE
from cloakbench.study.keys import NAMES


def named_by_any(ranks: pd.DataFrame) -> pd.DataFrame:
    """Ranks of a target that names whomever any target of the study names: of each face the smallest.

    ranks: the ranks files, one below the other. The target is called by the names of all. Nothing is told of what it
    saw, and of people it names as many as the target with the fewest, which is right for every k that the study has.

    >>> face = {"subject": 0, "photo": 0, "attack": "bim", "eps": 8, "detected": 1, "classes": 9}
    >>> both = pd.DataFrame([face | {"target": "a", "rank": 4}, face | {"target": "b", "rank": 2}])
    >>> named_by_any(both)[["target", "rank"]].to_dict("records")
    [{'target': 'a or b', 'rank': 2}]
    """
    keys = [key for key in NAMES if key in ranks and key != "target"]
    faces = ranks.groupby([*keys, *FACE], sort=False, dropna=False)
    found = faces.agg({"detected": "first", "rank": "min", "classes": "min"}).reset_index()
    return found.assign(target=name(ranks["target"]), outside=np.nan)


def name(targets: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(targets))


def unstored(baseline: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """The same of the clean faces as they are cut from the photographs. baseline: as `psr.protection` takes it."""
    return {name(list(baseline)): np.min([np.asarray(ranks) for ranks in baseline.values()], axis=0)}
