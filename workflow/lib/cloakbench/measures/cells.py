"""Cells: the leaf files of a study, one a cell, read as one frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.study.grid import Cell, cells, keys_of, place
from cloakbench.study.keys import DEFAULTS, NAMES

FACE = ["subject", "photo"]
SCORES = ["own_score", "other_score", "other"]  # of a gallery; an earlier version wrote none
JUDGED = ["detected", "rank", "label", "predicted", "outside", "classes", *SCORES]
TYPES = dict.fromkeys(NAMES, str) | dict.fromkeys(
    [*FACE, "eps", "detected", "rank", "label", "predicted", "classes", "other"], "Int64"
)
TYPES |= {"outside": float, "own_score": float, "other_score": float}  # percent, cosines


def columns(cell: Iterable[str]) -> list[str]:
    """The columns of a cell's ranks file: whose face, the keys of the cell, how it was judged."""
    return [*FACE, *cell, *JUDGED]


def keys_in(frame: pd.DataFrame) -> list[str]:
    """The keys that tell the cells of a table apart, in order."""
    return [key for key in NAMES if key in frame]


def read_cells(directory: Path, matrix: Mapping) -> pd.DataFrame:
    """All ranks files of a study, one below the other, each with the keys of the matrix.

    Raises InputError for one that is damaged or misplaced.
    """
    frames = [read_cell(directory, cell) for cell in cells(matrix)]
    given = {key: DEFAULTS[key] for key in DEFAULTS if key in matrix}
    return pd.concat(frames, ignore_index=True).reindex(columns=columns(keys_of("classify", matrix))).fillna(given)


def read_cell(directory: Path, cell: Cell) -> pd.DataFrame:
    path = directory / f"{place(cell)}.csv"
    frame = read_ranks(path)
    if keys_in(frame) != list(cell) or not (frame[list(cell)] == list(cell.values())).all(axis=None):
        raise InputError(f"{path}: holds another cell than {tuple(cell.values())}; delete it and run again")
    return frame


def read_ranks(path: Path) -> pd.DataFrame:
    """One ranks file. Raises InputError for one that is damaged."""
    # only an empty field is missing: a model may be called NA
    frame = read_table(path, dtype=TYPES, keep_default_na=False, na_values=[""])
    expected = columns(keys_in(frame))
    if list(frame) == expected[: -len(SCORES)]:
        frame = frame.reindex(columns=expected)
    if list(frame) != expected:
        raise InputError(f"{path}: columns {list(frame)} where {expected} are expected; delete it and run again")
    return frame


def read_baseline(directory: Path, targets: Iterable[str]) -> dict[str, pd.Series]:
    """By target, the ranks of the clean faces as they are cut from the photographs. Raises InputError for a damaged
    file."""
    return {target: read_table(directory / f"{target}.csv", dtype={"target": str})["rank"] for target in targets}


def read_photos_ranks(path: Path, shown_to: str) -> pd.DataFrame:
    """Ranks of faces that nobody had to find: a row a face with subject, photo, target, rank and detected, 1 of all.

    Raises InputError for a file that is damaged or of another recogniser than `shown_to`.
    """
    frame = read_table(path, dtype={name: TYPES[name] for name in (*FACE, "target", "rank")}, keep_default_na=False)
    if list(frame) != [*FACE, "target", "rank"] or not (frame["target"] == shown_to).all():
        raise InputError(f"{path}: holds no ranks of {shown_to}; delete it and run again")
    return frame.assign(detected=1)


def read_psr(path: Path) -> pd.DataFrame:
    """psr.csv, one row a cell and k. Raises InputError for one that is damaged or of an early version."""
    text = dict.fromkeys([*NAMES, "knows"], str) | {"eps": int}
    frame = read_table(path, dtype=text, keep_default_na=False, na_values=[""])
    if "knows" in frame:
        frame["knows"] = frame["knows"].fillna("")
    if lacking := {"subjects", "psr_photo"} - {*frame}:
        columns = " and ".join(sorted(lacking))
        raise InputError(f"{path}: has no {columns}: an earlier version of cloakbench wrote it; run the study again")
    return frame
