"""groups.csv: every cell's rates by groups of its faces, from the leaf files, one cell at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.measures.cells import FACE, read_cell
from cloakbench.measures.properties import read_properties
from cloakbench.photos.attributes import read_faces_attributes
from cloakbench.statistics.groups import COLUMNS, Group, by_group, categories, tertiles
from cloakbench.study.attributes import MARGIN, PROPERTIES
from cloakbench.study.grid import CLEAN, cells, keys_of
from cloakbench.study.keys import DEFAULTS


def groups(study: Path, config: Mapping) -> str:
    """The table, from a results folder: a row a source, attack, eps, storage, target and group, at the smallest k;
    classes: how many people the target names. config: matrix, top_k, detection, and of dataset whether it has
    attributes.

    Raises InputError for a leaf file that is damaged or misplaced, or of other faces than the others.
    """
    matrix, k, missed, tables = config["matrix"], min(config["top_k"]), config["detection"]["missed"], []
    properties = read_properties(study / "properties.csv", matrix["target"]).set_index(FACE)
    measured = [group for name in PROPERTIES for group in tertiles(name, properties[name])]
    told = by_attributes(study / "attributes.csv", properties) if config["dataset"].get("attributes") else []
    of = {
        target: [*measured, *tertiles(MARGIN, properties[f"{MARGIN}_{target}"]), *told] for target in matrix["target"]
    }
    for cell in cells(matrix):
        faces = read_cell(study / "ranks", cell)
        clean = read_cell(study / "ranks", cell | CLEAN) if cell["attack"] != CLEAN["attack"] else None
        rows = by_group(faces, clean, of[cell["target"]], k, missed)
        tables.append(rows.assign(**cell, classes=faces["classes"].iloc[0]))
    given = {key: DEFAULTS[key] for key in DEFAULTS if key in matrix}
    table = pd.concat(tables, ignore_index=True).reindex(columns=[*keys_of("classify", matrix), *COLUMNS, "classes"])
    return table.fillna(given).to_csv(index=False)


def by_attributes(path: Path, properties: pd.DataFrame) -> list[Group]:
    """The groups of the study's attributes.csv, column by column."""
    attributes = read_faces_attributes(path).set_index(FACE)
    if list(attributes.index) != list(properties.index):
        raise InputError(f"{path}: other faces than properties.csv; delete it and run again")
    return [group for name in attributes for group in categories(name, attributes[name])]
