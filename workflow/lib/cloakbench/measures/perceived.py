"""Files of LPIPS, a row a face, for those who read them and compute none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.measures.cells import FACE, TYPES
from cloakbench.study.grid import Cell

LPIPS = ["lpips", "original_lpips"]  # against the clean face stored alike, and against it as it was before storage


def read_lpips(path: Path, cell: Cell) -> pd.DataFrame:
    """One file of a cell. Raises InputError for one that is damaged or holds another cell."""
    frame = read_table(path, dtype={name: TYPES[name] for name in cell}, keep_default_na=False, na_values=[""])
    if list(frame) != [*FACE, *cell, *LPIPS] or not (frame[list(cell)] == list(cell.values())).all(axis=None):
        raise InputError(f"{path}: holds another cell than {tuple(cell.values())}; delete it and run again")
    return frame
