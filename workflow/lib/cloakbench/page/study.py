"""What a page is made from: the tables of a finished study, and what provenance.json says of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.files.reading import read_table
from cloakbench.files.seals import intact
from cloakbench.measures.cells import keys_in, read_psr
from cloakbench.statistics.front import SSIM
from cloakbench.study.grid import CLEAN
from cloakbench.study.keys import NAMES
from cloakbench.study.sources import members

TABLES = (  # where there are
    "comparisons.csv",
    "quality.csv",
    "front.csv",
    "needed.csv",
    "ladder.csv",
    "groups.csv",
    "claims.csv",
)
RATE = ["psr", "psr_low", "psr_high", "gain", "gain_low", "gain_high", "lost", "unnamed", "named"]
COUNTS = ["n", "detected", "recognised", "subjects", "classes", "hidden", "only", "only_before", "only_reference"]
TEXT = ["reference", "member", "judged_by", "rung", "before", "measure", "claim", "text", "section", "verdict"]
TEXT += ["by", "group", "than"]
LABELS = {
    "source": "Crafted on",
    "attack": "Attack",
    "eps": "Budget, eps",
    "storage": "Stored as",
    "target": "Judged by",
    "top_k": "Among the first k",
}


@dataclass(frozen=True)
class Shown:
    """A study as its pages see it.

    rates: psr.csv, and below it strongest.csv, whose target is called `any_target`, empty in a study with one target.
    tables: by name, those of TABLES that the study has. facts: provenance.json.
    """

    rates: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]
    any_target: str

    @property
    def config(self) -> Mapping[str, Any]:
        return self.facts["config"]

    @cached_property
    def keys(self) -> list[str]:
        """What tells the rows of `rates` apart."""
        return [*keys_in(self.rates), "top_k"]

    @cached_property
    def values(self) -> dict[str, list]:
        """By key, its values in the study's order, without those of the clean cells; what `rates` has more than one of
        can be chosen on the page."""
        cloaked = self.rates[self.rates["attack"] != CLEAN["attack"]]
        found = {key: list(dict.fromkeys(cloaked[key].tolist())) for key in self.keys}
        return found | {key: sorted(found[key]) for key in ("eps", "top_k")}

    @property
    def targets(self) -> list[str]:
        """Recognisers that judge, without the one that tries them all."""
        return [name for name in self.values["target"] if name != self.any_target]

    def white_box(self, source: str, target: str) -> bool:
        """Whether faces crafted on `source` were crafted on `target`."""
        return target in members(self.config, source)

    def rows(self, **fixed: Any) -> pd.DataFrame:
        """Those of `rates`, by values of keys."""
        return chosen(self.rates, fixed)

    def row(self, state: Mapping[str, Any], **other: Any) -> Mapping[str, Any] | None:
        """The one of a cell and k, if the study has it."""
        wanted = {**state, **other}
        return self._by_cell.get(tuple(wanted[key] for key in self.keys))

    @cached_property
    def _by_cell(self) -> dict[tuple, Mapping[str, Any]]:
        return {tuple(row[key] for key in self.keys): row for row in self.rates.to_dict("records")}


def chosen(table: pd.DataFrame, fixed: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that have these values, as far as the table has such columns."""
    for key, value in fixed.items():
        if key in table:
            table = table[table[key] == value]
    return table


def told(rate: Mapping) -> str:
    """A PSR with its interval, in words.

    >>> told({"psr": 6.25, "psr_low": 1.1, "psr_high": 28.3})
    '6.2 % (1-28)'
    """
    return f"{rate['psr']:.1f} % ({rate['psr_low']:.0f}-{rate['psr_high']:.0f})"


def read_study(study: Path) -> Shown:
    """Of a results folder whose provenance.json is written. Raises InputError for what is damaged."""
    facts = json.loads(intact(study / "provenance.json").read_text(encoding="utf-8"))
    psr, strongest = read_psr(study / "psr.csv"), read_psr(study / "strongest.csv")
    tables = {name: read_text_table(study / name) for name in TABLES if name in facts["files"]}
    for name, table in {"strongest.csv": strongest.drop(columns="target"), **tables}.items():
        refuse_other_cells(study / name, table, psr)
    several = psr["target"].nunique() > 1
    rates = pd.concat([psr, strongest], ignore_index=True) if several else psr
    return Shown(rates, tables, facts, strongest["target"].iloc[0] if several else "")


def refuse_other_cells(path: Path, table: pd.DataFrame, psr: pd.DataFrame) -> None:
    """Raises InputError for a table with a value of a key that psr.csv has not: they are of two studies."""
    for key in keys_in(table):
        known = [*psr[key].unique(), CLEAN.get(key)]
        # of needed.csv an eps is told in words
        others = [] if path.name == "needed.csv" and key == "eps" else table.loc[~table[key].isin(known), key]
        if len(others):
            raise InputError(f"{path}: has {key} {others.iloc[0]}, of which psr.csv says nothing; run the study again")


def read_text_table(path: Path) -> pd.DataFrame:
    """A table of the study whose names stay text: a model may be called 007 or NA."""
    names = dict.fromkeys([*NAMES, *TEXT], str)
    if path.name == "needed.csv":  # there an eps may be "< 4"
        ends = dict.fromkeys(["eps", "eps_low", "eps_high", *SSIM], str)
        return read_table(path, dtype=names | ends, keep_default_na=False)
    return read_table(path, dtype=names | {"eps": int}, keep_default_na=False, na_values=[""])


def encoded(table: pd.DataFrame, names: Mapping[str, Sequence], columns: Sequence[str]) -> dict[str, Any]:
    """A table for a script: a list a column. A key's values are given as their places among `names`; numbers as
    `shown_number` rounds them.

    >>> encoded(pd.DataFrame({"eps": [8], "psr": [6.25]}), {"eps": [4, 8]}, ["psr"])
    {'eps': [1], 'psr': [6.2]}
    """
    coded = {
        key: [values.index(value) for value in table[key].tolist()] for key, values in names.items() if key in table
    }
    shown = {name: [shown_number(value, name) for value in table[name].tolist()] for name in columns if name in table}
    return coded | shown


def shown_number(value: Any, name: str) -> Any:
    """A number of the column `name` as the page shows it, wherever it does: the ends of an interval and counts are
    whole, of SSIM there are three digits after the point, of others there is one; a p is text; what is no finite
    number is None.

    >>> shown_number(94.1512, "psr_low"), shown_number(6.25, "psr"), shown_number(3.21e-7, "p"), shown_number(None, "n")
    (94, 6.2, '3.2e-07', None)
    """
    if isinstance(value, str | bool):
        return value
    if pd.isna(value) or math.isinf(value):  # PSNR of pictures that are the same
        return None
    if name in ("p", "p_adjusted"):
        return f"{value:.2g}"
    if name in COUNTS or name == "low" or name == "high" or name.endswith(("_low", "_high")):
        return round(float(value))
    return round(float(value), 3 if name == "ssim" else 1) + 0.0  # no -0.0
