"""faces.csv: what every face came to in every cell, one cell at a time: no number of cells fills the memory."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.measures.cells import FACE, columns, read_cell
from cloakbench.measures.perceived import LPIPS, read_lpips
from cloakbench.measures.quality import QUALITY, read_quality
from cloakbench.study.grid import cells, keys_of, place
from cloakbench.study.keys import DEFAULTS


def rows(study: Path, config: Mapping) -> Iterator[str]:
    """The lines of faces.csv, a text a cell, the header before them: the columns of the ranks files, and those of the
    quality files where the study has measured. config: matrix, measures and compute.

    Raises InputError for a leaf file that is damaged or misplaced, or of other faces than its cell's.
    """
    matrix, measured = config["matrix"], measures_of(config["measures"])
    names = [*columns(keys_of("classify", matrix)), *measured]
    yield ",".join(names) + "\n"
    for stored, judged in groupby(cells(matrix), key=lambda cell: {key: cell[key] for key in keys_of("store", cell)}):
        chunks = config["compute"]["chunks"]
        seen = quality_of(study, stored, chunks, measured).set_index(FACE)[measured] if measured else None
        for cell in judged:
            faces = read_cell(study / "ranks", cell)
            if seen is not None:
                if list(faces[FACE].itertuples(index=False, name=None)) != list(seen.index):
                    raise InputError(f"{study / 'ranks' / place(cell)}.csv: other faces than its pictures; run again")
                faces = faces.join(seen, on=FACE)
            given = {key: DEFAULTS[key] for key in DEFAULTS if key in matrix}
            yield faces.reindex(columns=names).fillna(given).to_csv(index=False, header=False)


def measures_of(measures: Container[str]) -> list[str]:
    """The columns that a study has of its pictures, by what it measures."""
    return [*(QUALITY if "quality" in measures else []), *(LPIPS if "lpips" in measures else [])]


def quality_of(study: Path, cell: Mapping, chunks: int, measures: Sequence[str]) -> pd.DataFrame:
    """The quality file of a cell, or of its parts one below the other, with LPIPS where that is among the measures.

    Raises InputError for a file that is damaged or misplaced, or of other faces than the one beside it.
    """
    parts = [f"/part{part}" for part in range(chunks)] if chunks > 1 else [""]
    names = [f"{place(cell, 'store')}{part}.csv" for part in parts]
    found = pd.concat([read_quality(study / "quality" / name, cell) for name in names], ignore_index=True)
    if not {*LPIPS} & {*measures}:
        return found
    seen = pd.concat([read_lpips(study / "lpips" / name, cell) for name in names], ignore_index=True)
    if not found[FACE].equals(seen[FACE]):
        raise InputError(f"{study / 'lpips' / names[0]}: other faces than {study / 'quality' / names[0]}; run again")
    return found.assign(**{name: seen[name] for name in LPIPS})
