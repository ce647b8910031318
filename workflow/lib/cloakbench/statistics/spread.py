"""The spread of a measure over the faces of a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

PERCENTILES = {"p5": 5, "median": 50, "p95": 95}


def spread(faces: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """A row a cell and measure: faces of which there is a number, and its 5th, 50th and 95th percentile.

    A percentile is the smallest number that so many of the faces do not exceed, so it is some face's; of none it is
    empty. faces: a row a face, with the keys of its cell and the measures.

    >>> spread(pd.DataFrame({"eps": 4, "psnr": [3.0, 1.0, 2.0, None]}), ["eps"], ["psnr"]).to_dict("records")
    [{'eps': 4, 'measure': 'psnr', 'faces': 3, 'p5': 1.0, 'median': 2.0, 'p95': 3.0}]
    """
    rows = []
    for values, cell in faces.groupby(list(keys), sort=False):
        for measure in measures:
            known = cell[measure].dropna().to_numpy(float)
            found = np.percentile(known, [*PERCENTILES.values()], method="inverted_cdf") if len(known) else [np.nan] * 3
            told = {"measure": measure, "faces": len(known)} | dict(zip(PERCENTILES, map(float, found), strict=True))
            rows.append(dict(zip(keys, values, strict=True)) | told)
    return pd.DataFrame(rows, columns=[*keys, "measure", "faces", *PERCENTILES])
