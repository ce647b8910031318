"""Cells: the leaf files of a study, one a (source, attack, eps, storage, target), read as one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files import read_table

KEYS = ["source", "attack", "eps", "storage", "target"]
COLUMNS = ["subject", "photo", *KEYS, "detected", "rank", "label", "predicted", "outside", "classes"]
TYPES = dict.fromkeys(["source", "attack", "storage", "target"], str) | dict.fromkeys(
    ["subject", "photo", "eps", "detected", "rank", "label", "predicted", "classes"], "Int64"
)
TYPES["outside"] = float  # percent


def cells(matrix: Mapping) -> Iterator[tuple]:
    """The clean baseline of each source, storage and target, then the grid; a cell has the order of KEYS."""
    for source, storage, target in product(matrix["source"], matrix["storage"], matrix["target"]):
        yield source, "clean", 0, storage, target
    budgets = sorted(matrix["eps"])
    yield from product(matrix["source"], matrix["attack"], budgets, matrix["storage"], matrix["target"])


def read_cells(directory: Path, matrix: Mapping) -> pd.DataFrame:
    """All ranks files of a study, one below the other. Raises InputError for one that is damaged or misplaced."""
    return pd.concat([read_cell(directory, cell) for cell in cells(matrix)], ignore_index=True)


def read_cell(directory: Path, cell: tuple) -> pd.DataFrame:
    source, attack, eps, storage, target = cell
    path = directory / source / attack / f"eps{eps}" / storage / f"{target}.csv"
    frame = read_ranks(path)
    if not (frame[KEYS] == list(cell)).all(axis=None):
        raise InputError(f"{path}: holds another cell than {cell}; delete it and run again")
    return frame


def gather(parts: Sequence[Path]) -> pd.DataFrame:
    """The ranks of one cell from those of its parts, in the order given."""
    return pd.concat([read_ranks(path) for path in parts], ignore_index=True)


def read_ranks(path: Path) -> pd.DataFrame:
    """One ranks file. Raises InputError for one that is damaged."""
    # only an empty field is missing: a model may be called NA
    frame = read_table(path, dtype=TYPES, keep_default_na=False, na_values=[""])
    if list(frame.columns) != COLUMNS:
        raise InputError(f"{path}: columns {list(frame.columns)} where {COLUMNS} are expected; delete it and run again")
    return frame


def read_baseline(directory: Path, targets: Iterable[str]) -> dict[str, pd.Series]:
    """By target, the ranks of the clean faces as they are cut from the photographs. Raises InputError for a damaged
    file."""
    return {target: read_table(directory / f"{target}.csv", dtype={"target": str})["rank"] for target in targets}


def read_psr(path: Path) -> pd.DataFrame:
    """psr.csv, one row a cell and k. Raises InputError for one that is damaged."""
    return read_table(path, dtype=dict.fromkeys(KEYS, str) | {"eps": int}, keep_default_na=False, na_values=[""])
