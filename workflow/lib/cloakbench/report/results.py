"""The tables of a study, by file name: what each is made of, for the script that writes it and for `verify` alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cloakbench.attacks import entries
from cloakbench.files.reading import read_table
from cloakbench.measures.cells import read_baseline, read_cells, read_psr
from cloakbench.paper.claims import CLAIMS, evaluate
from cloakbench.paper.comparison import TABLE1 as PUBLISHED
from cloakbench.paper.comparison import compare, read_published
from cloakbench.paper.page import comparison_markdown
from cloakbench.report import tables
from cloakbench.report.faces import measures_of, quality_of
from cloakbench.report.groups import groups
from cloakbench.report.ladder import ladder
from cloakbench.statistics import searchers
from cloakbench.statistics.front import budgets_needed, front
from cloakbench.statistics.paired import comparisons
from cloakbench.statistics.psr import hidden_by_cell, protection
from cloakbench.statistics.spread import spread
from cloakbench.study.grid import cells, keys_of, reference


@dataclass(frozen=True)
class Judged:
    """What every face of a study came to: ranks and baseline as `psr.protection` takes them, and what the config says
    of them. attacks: its entries; reference: the attack that the others are compared with."""

    ranks: pd.DataFrame
    baseline: Mapping[str, pd.Series]
    matrix: Mapping
    top_k: Sequence[int]
    missed: str
    attacks: Mapping[str, Mapping]
    reference: str


def judged(study: Path, config: Mapping) -> Judged:
    """Of a results folder. config: matrix, top_k, detection, attacks, and statistics, if it has them."""
    matrix, attacks = config["matrix"], {name: config["attacks"][name] for name in config["matrix"]["attack"]}
    ranks, baseline = read_cells(study / "ranks", matrix), read_baseline(study / "baseline", matrix["target"])
    missed = config["detection"]["missed"]
    return Judged(ranks, baseline, matrix, sorted(config["top_k"]), missed, attacks, reference(config))


def _rates(of: Judged) -> pd.DataFrame:
    return _described(protection(of.ranks, of.top_k, of.missed, of.baseline), of)


def _strongest(of: Judged) -> pd.DataFrame:
    ranks, baseline = searchers.named_by_any(of.ranks), searchers.unstored(of.baseline)
    return _described(protection(ranks, of.top_k, of.missed, baseline), of)


def _described(table: pd.DataFrame, of: Judged) -> pd.DataFrame:
    """With the columns knows and gradients of each row's attack; of clean faces nothing is known and computed."""
    told = entries.facts(of.attacks, of.matrix["eps"])
    knows = {name: facts["knows"] for name, facts in told.items()}
    gradients = {(name, eps): count for name, facts in told.items() for eps, count in facts["gradients"].items()}
    cells = zip(table["attack"], table["eps"], strict=True)
    counts = [gradients.get(cell, 0) for cell in cells]
    return table.assign(knows=table["attack"].map(knows).fillna(""), gradients=counts)


# from what every face came to
FROM_RANKS: dict[str, Callable[[Judged], pd.DataFrame]] = {
    "psr.csv": _rates,
    "strongest.csv": _strongest,
    "comparisons.csv": lambda of: comparisons(of.ranks, of.reference, of.missed),
}


def quality(study: Path, config: Mapping) -> str:
    """quality.csv, from the quality files of a results folder. config: matrix, compute, and whether measures has lpips.

    Raises InputError for a file that is damaged or misplaced.
    """
    chunks, names = config["compute"]["chunks"], measures_of(["quality", *config.get("measures", [])])
    stored = cells(config["matrix"], "store")
    spreads = [spread(quality_of(study, cell, chunks, names), [*cell], names) for cell in stored]
    return pd.concat(spreads, ignore_index=True).to_csv(index=False)


# from leaf files, cell by cell: a results folder and a config
FROM_LEAVES: dict[str, Callable[[Path, Mapping], str]] = {
    "quality.csv": quality,
    "ladder.csv": ladder,
    "groups.csv": groups,
}


@dataclass(frozen=True)
class Costed:
    """What protection is set against: ranks, and the tables psr.csv and quality.csv."""

    ranks: pd.DataFrame
    psr: pd.DataFrame
    quality: pd.DataFrame
    missed: str


def costed(study: Path, config: Mapping) -> Costed:
    """Of a results folder. config: matrix and detection."""
    names = dict.fromkeys(keys_of("store", config["matrix"]), str) | {"eps": int}
    costs = read_table(study / "quality.csv", dtype=names, keep_default_na=False, na_values=[""])
    ranks, psr = read_cells(study / "ranks", config["matrix"]), read_psr(study / "psr.csv")
    return Costed(ranks, psr, costs, config["detection"]["missed"])


# from what protection is set against, at the smallest k
FROM_QUALITY: dict[str, Callable[[Costed], pd.DataFrame]] = {
    "front.csv": lambda of: front(of.psr, of.quality, min(of.psr["top_k"])),
    "needed.csv": lambda of: budgets_needed(of.ranks, of.quality, min(of.psr["top_k"]), of.missed),
}


# from psr.csv and what a table says of its study
Derive = Callable[[pd.DataFrame, Mapping], str]
TABLE1: dict[str, Derive] = {
    "table1.csv": lambda psr, about: tables.to_csv(tables.table1(psr)),
    "table1.md": lambda psr, about: tables.to_markdown(tables.table1(psr), tables.clean_faces(psr), about),
    "table1.tex": lambda psr, about: tables.to_latex(tables.table1(psr), tables.clean_faces(psr), about),
}


# from these and the ranks, of a study that covers the paper's grid
DeriveBeside = Callable[[pd.DataFrame, Mapping, Judged], str]


def _claims(psr: pd.DataFrame, of: Judged) -> pd.DataFrame:
    return evaluate(CLAIMS, psr, faces=hidden_by_cell(of.ranks, of.top_k, of.missed))


def _comparison_page(psr: pd.DataFrame, about: Mapping, of: Judged) -> str:
    published = read_published(PUBLISHED)
    claims = evaluate(CLAIMS, published), _claims(psr, of)
    return tables.heading(about) + comparison_markdown(compare(psr, published), *claims)


COMPARISON: dict[str, DeriveBeside] = {
    "comparison.csv": lambda psr, about, of: compare(psr, read_published(PUBLISHED)).to_csv(index=False),
    "claims.csv": lambda psr, about, of: _claims(psr, of).to_csv(index=False),
    "comparison.md": _comparison_page,
}
