"""The tables of a study, by file name: what each is made of, for the script that writes it and for `verify` alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from cloakbench.attacks import entries
from cloakbench.measures.cells import read_baseline, read_cells
from cloakbench.paper.claims import CLAIMS, evaluate
from cloakbench.paper.comparison import TABLE1 as PUBLISHED
from cloakbench.paper.comparison import compare, read_published
from cloakbench.paper.page import comparison_markdown
from cloakbench.report import tables
from cloakbench.statistics.psr import protection


def psr(
    study: Path, matrix: Mapping, top_k: Sequence[int], missed: str, attacks: Mapping[str, Mapping] | None = None
) -> str:
    """psr.csv, from the ranks files of a results folder. attacks: the entries of the config, of which each row says
    what they know and cost; None: as before there were such columns."""
    ranks, baseline = read_cells(study / "ranks", matrix), read_baseline(study / "baseline", matrix["target"])
    table = protection(ranks, sorted(top_k), missed, baseline)
    return (table if attacks is None else _described(table, entries.facts(attacks, matrix["eps"]))).to_csv(index=False)


def _described(table: pd.DataFrame, told: Mapping[str, Mapping]) -> pd.DataFrame:
    """With the columns knows and gradients of each row's attack; of clean faces nothing is known and computed."""
    knows = {name: facts["knows"] for name, facts in told.items()}
    gradients = {(name, eps): count for name, facts in told.items() for eps, count in facts["gradients"].items()}
    cells = zip(table["attack"], table["eps"], strict=True)
    counts = [gradients.get(cell, 0) for cell in cells]
    return table.assign(knows=table["attack"].map(knows).fillna(""), gradients=counts)


# from psr.csv and what a table says of its study
Derive = Callable[[pd.DataFrame, Mapping], str]
TABLE1: dict[str, Derive] = {
    "table1.csv": lambda psr, about: tables.to_csv(tables.table1(psr)),
    "table1.md": lambda psr, about: tables.to_markdown(tables.table1(psr), tables.clean_faces(psr), about),
    "table1.tex": lambda psr, about: tables.to_latex(tables.table1(psr), about),
}


def _comparison_page(psr: pd.DataFrame, about: Mapping) -> str:
    published = read_published(PUBLISHED)
    claims = evaluate(CLAIMS, published), evaluate(CLAIMS, psr)
    return tables.heading(about) + comparison_markdown(compare(psr, published), *claims)


COMPARISON: dict[str, Derive] = {
    "comparison.csv": lambda psr, about: compare(psr, read_published(PUBLISHED)).to_csv(index=False),
    "claims.csv": lambda psr, about: evaluate(CLAIMS, psr).to_csv(index=False),
    "comparison.md": _comparison_page,
}
FROM_PSR = TABLE1 | COMPARISON
