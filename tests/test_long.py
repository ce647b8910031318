"""faces.csv of a study of thousands of cells: its memory does not grow with them."""

from __future__ import annotations

import gc
import tracemalloc

import pandas as pd
import pytest

from cloakbench.errors import InputError
from cloakbench.files.writing import write_text
from cloakbench.measures import quality
from cloakbench.measures.cells import columns
from cloakbench.report.faces import rows
from cloakbench.study.grid import cells, place
from cloakbench.study.keys import NAMES


def study(folder, attacks: int, faces: int = 4) -> dict:
    """Leaf files of so many attacks, in 20 cells each; the config that asks for them."""
    matrix = {"source": ["a"], "attack": [f"x{n}" for n in range(attacks)], "eps": [2, 4, 8, 16, 32]}
    matrix |= {"storage": ["png", "jpeg"], "target": ["b", "c"]}
    for cell in cells(matrix):
        whose = {"subject": range(faces), "photo": 0, **cell}
        judged = {"detected": 1, "rank": 0, "label": 0, "predicted": 0, "outside": 0.0, "classes": 9}
        frame = pd.DataFrame(whose | judged).reindex(columns=columns(cell))
        write_text(folder / f"ranks/{place(cell)}.csv", frame.to_csv(index=False))
    for cell in cells(matrix, "store"):
        frame = pd.DataFrame(
            {"subject": range(faces), "photo": 0, **cell} | dict.fromkeys(quality.QUALITY, cell["eps"])
        )
        write_text(folder / f"quality/{place(cell, 'store')}.csv", frame[quality.columns(cell)].to_csv(index=False))
    return {"matrix": matrix, "measures": ["quality"], "compute": {"chunks": 1}}


def peak(folder, config) -> tuple[int, int]:
    """Bytes in use at the most, and lines. Garbage is swept after each cell: when Python sweeps by itself hangs on
    whatever ran in this process before."""
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    lines = 0
    for text in rows(folder, config):
        lines += text.count("\n")
        gc.collect()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.unfreeze()
    return most, lines


def test_memory_does_not_grow_with_cells(tmp_path):
    """But for the list of what the table was made from, which its seal has to name: a path and a hash for each file."""
    small, large = study(tmp_path / "small", 2), study(tmp_path / "large", 12)
    peak(tmp_path / "large", large)  # what is loaded once
    few, lines = peak(tmp_path / "small", small)
    many, more = peak(tmp_path / "large", large)
    assert (lines, more) == (1 + 4 * (40 + 4), 1 + 4 * (240 + 4))
    assert (many - few) / (240 - 40) < 600  # bytes a cell


def test_each_row_has_the_quality_of_its_picture(tmp_path):
    config = study(tmp_path, 1, faces=2)
    header, *lines = "".join(rows(tmp_path, config)).splitlines()
    names = header.split(",")
    assert names == [*columns(NAMES), *quality.QUALITY]
    for line in lines:
        row = dict(zip(names, line.split(","), strict=True))
        assert float(row["ssim"]) == float(row["eps"]) and row["target"] in "bc"


def test_other_faces_than_the_pictures_are_refused(tmp_path):
    config = study(tmp_path, 1)
    path = tmp_path / "quality/a/x0/eps2/png.csv"
    write_text(path, "\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match=r"ranks/a/x0/eps2/png/b\.csv: other faces than its pictures"):
        list(rows(tmp_path, config))
