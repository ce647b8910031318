"""ladder.csv: what a recogniser makes of the faces that were crafted on it, step by step, from the leaf files."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import pandas as pd

from cloakbench.attacks.families import fractional
from cloakbench.measures.cells import read_cell, read_photos_ranks
from cloakbench.statistics.ladder import COLUMNS, Rung, climb
from cloakbench.study.grid import CLEAN, Cell, cells, keys_of, place
from cloakbench.study.keys import DEFAULTS
from cloakbench.study.sources import members


def ladder(study: Path, config: Mapping) -> str:
    """The table, from a results folder: a row a source, attack, eps, storage, member of the source and rung, at the
    smallest k; classes: how many people whoever judges it names, where it is a target of the study. config: matrix,
    top_k, detection, attacks and ensembles.

    Raises InputError for a leaf file that is damaged or misplaced, or of other faces than the others.
    """
    matrix, missed, tables = config["matrix"], config["detection"]["missed"], []
    rounded = {name for name, entry in config["attacks"].items() if fractional(entry)}
    for cell in cells({**matrix, "target": matrix["target"][:1]}):
        of = {key: value for key, value in cell.items() if key != "target"}
        for member in members(config, cell["source"]):
            own = own_rungs(study, cell, member, matrix["target"], rounded)
            rungs = own, others(study, cell, member, matrix["target"])
            tables.append(climb(*rungs, min(config["top_k"]), missed).assign(member=member, **of))
    keys = [key for key in keys_of("classify", matrix) if key != "target"]
    given = {key: DEFAULTS[key] for key in DEFAULTS if key in matrix}
    table = pd.concat(tables, ignore_index=True).reindex(columns=[*keys, "member", *COLUMNS])
    first = {target: next(iter(cells({**matrix, "target": [target]}))) for target in matrix["target"]}
    among = {target: read_cell(study / "ranks", cell)["classes"].iloc[0] for target, cell in first.items()}
    table["classes"] = table["judged_by"].map(among).astype("Int64")
    return table.fillna(given).to_csv(index=False)


def own_rungs(study: Path, cell: Cell, member: str, targets: Iterable[str], rounded: Container[str] = ()) -> list[Rung]:
    """What the recogniser makes of a cell's faces that they were crafted on; the last step only where it is a target,
    the first only of attacks that are `rounded`, and of what is not attacked there is nothing that was crafted."""
    clean = read_photos_ranks(study / "baseline" / f"{member}.csv", member)
    faces = {"clean": clean}
    steps = [("unrounded", "craft")] if cell["attack"] in rounded else []
    steps += [("crafted", "craft")] if cell["attack"] != CLEAN["attack"] else []
    for name, stage in (*steps, ("stored", "store")):
        path = study / "ladder" / name / place(cell, stage) / f"{member}.csv"
        faces[name] = read_photos_ranks(path, member)
    if member in targets:
        faces["found"] = read_cell(study / "ranks", cell | {"target": member})
    return [Rung(name, member, shown, clean) for name, shown in faces.items()]


def others(study: Path, cell: Cell, member: str, targets: Iterable[str]) -> list[Rung]:
    """What the other targets make of them; each is clean to them as it is stored and found again without a cloak."""
    cells_of = [(target, cell | {"target": target}) for target in targets if target != member]
    read = [
        (target, read_cell(study / "ranks", one), read_cell(study / "ranks", one | CLEAN)) for target, one in cells_of
    ]
    return [Rung("other", target, shown, clean) for target, shown, clean in read]
