"""Export: a finished study's tables and ranks without names, paths or pictures, to be given to others.

Subjects have the numbers that the draw gave them; the people that a target names are numbered anew, in the order in
which they appear. That hides names from whoever reads the files. Whoever has the same photographs and draws with the
same config gets the same subjects: the files are pseudonymous, not anonymous.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.seals import intact, sha256
from cloakbench.files.writing import writing
from cloakbench.measures.cells import columns, keys_in, read_psr
from cloakbench.report.results import COMPARISON, FROM_LEAVES, FROM_QUALITY, FROM_RANKS, TABLE1, Judged, judged
from cloakbench.report.verify import facts_of
from cloakbench.study.grid import place
from cloakbench.study.keys import DEFAULTS

RATES = [*FROM_RANKS, *FROM_QUALITY, *FROM_LEAVES]  # hold numbers of cells, and go as they are
LEAVES = ("quality/", "lpips/", "baseline/", "properties.csv")  # hold numbers of faces, and nobody's name: they go, too
PEOPLE = ["label", "predicted", "other"]  # columns of ranks that say who
OUTSIDE = ("root", "attributes")  # of dataset: where it lies on this machine
TOLD = ("commit", "code", "versions", "hardware", "devices", "computed_with", "gradients", "mixed")
README = """\
# {title}

Exported from a cloakbench study, without names, paths or pictures: rates (`psr.csv` and others), and what they follow
from, a row a face (`ranks/`, `quality/`, `baseline/`). `study.json` holds the config and the versions that it was
computed with. Subjects are numbers; the people that a target names are numbered in the order in which they appear. Who
has the same photographs and config can draw the same subjects: this is pseudonymous, not anonymous.
"""


def export(study: Path, output: Path) -> list[str]:
    """Write a folder; the names of its files.

    Raises InputError where the study is not finished, one of its files is not what was written, or `output` is there.
    """
    if output.exists():
        raise InputError(f"{output}: is there already; give another --output, or move it away")
    facts = facts_of(study)
    of, about = judged(study, facts["config"]), without_paths(facts["about"])
    with writing(output) as folder:
        leaves = [name for name in facts["files"] if name.endswith(".csv") and name.startswith(LEAVES)]
        for name in [*(name for name in RATES if name in facts["files"]), *leaves]:
            _write(folder / name, intact(study / name).read_text(encoding="utf-8"))
        psr = read_psr(study / "psr.csv")
        tables = {name: partial(table, psr, about) for name, table in TABLE1.items()}
        tables |= {name: partial(table, psr, about, of) for name, table in COMPARISON.items()}
        for name in (name for name in tables if name in facts["files"]):
            _write(folder / name, tables[name]())
        _write_ranks(folder / "ranks", of)
        _write(folder / "study.json", json.dumps(told(study, facts), indent=1) + "\n")
        _write(folder / "README.md", README.format(title=facts["config"]["study"]))
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def told(study: Path, facts: Mapping) -> dict[str, Any]:
    """What a reader may know of how the study was made. facts: provenance.json."""
    weights = {name: origin["converted"] for name, origin in facts["weights"].items()}
    here = {"config": without_paths(facts["config"]), "about": without_paths(facts["about"]), "weights": weights}
    return here | {key: facts[key] for key in TOLD} | {"provenance": sha256(study / "provenance.json")}


def without_paths(told: Mapping) -> dict[str, Any]:
    """A config, or what tables say of a study, with no folder of this machine: of a file its name alone.

    >>> without_paths({"dataset": {"root": "/home/a/photos"}, "models": {"x": {"weights": "/home/a/x.pt", "std": 1}}})
    {'dataset': {'root': None}, 'models': {'x': {'weights': 'x.pt', 'std': 1}}}
    """
    models = {
        name: {key: _name(value) if key in ("weights", "classes") else value for key, value in model.items()}
        for name, model in told.get("models", {}).items()
    }
    cut = dict(told) | ({"models": models} if models else {})
    if "lpips" in cut:
        cut["lpips"] = {key: value if key.endswith("sha256") else _name(value) for key, value in cut["lpips"].items()}
    if "dataset" in cut:
        cut["dataset"] = {key: None if key in OUTSIDE else value for key, value in cut["dataset"].items()}
    return cut | ({"root": None} if "root" in cut else {})


def _name(file: str) -> str:
    return file if "://" in file else PurePath(file).name


def _write_ranks(folder: Path, of: Judged) -> None:
    """A file a cell, as in the study, with everybody numbered anew."""
    keys, numbered = keys_in(of.ranks), []
    for _, rows in of.ranks.groupby("target", sort=False):
        numbers = _numbered(rows[PEOPLE])
        anew = {name: rows[name].map(numbers, na_action="ignore").astype("Int64") for name in PEOPLE}
        numbered.append(rows.assign(**anew))
    for values, rows in pd.concat(numbered).groupby(keys, sort=False):
        # a key at its default has a column in the table of all cells, and none in its cell's file
        cell = {key: value for key, value in zip(keys, values, strict=True) if DEFAULTS.get(key) != value}
        _write(folder / f"{place(cell)}.csv", rows[columns(cell)].to_csv(index=False))


def _numbered(people: pd.DataFrame) -> dict[int, int]:
    """Each person that is named in these columns to a number, in the order of appearance, row by row."""
    found = pd.unique(people.to_numpy(object, na_value=None).ravel())
    return {person: number for number, person in enumerate(person for person in found if person is not None)}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
