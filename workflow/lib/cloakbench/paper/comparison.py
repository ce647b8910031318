"""A study beside the published Table 1, cell by cell.

The published table is a data frame with the columns PUBLISHED. Its values are never repaired. A cell carries
a `flag`, and no verdict but "suspect", by two rules:

- impossible: its PSR is below that of a larger k, though a face that is recognised among the first k classes
  is recognised among any larger number of them;
- falls with eps: its PSR is below that of a smaller budget, all else equal. This can be chance.

The table does not say how many faces stand behind a cell; it has steps of 1 %, so N = 100 is assumed. Of a study it is
the subjects that count: several photos of one are no independent trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import confint_proportions_2indep

from cloakbench.errors import InputError
from cloakbench.study.grid import PAPER
from cloakbench.study.keys import DEFAULTS, NAMES

CELL = [*PAPER]
KEYS = [*(key for key in NAMES if key not in DEFAULTS), "top_k"]
TABLE1 = Path(__file__).with_name("table1.csv")
PUBLISHED = [*CELL, "psr", "flag"]
COMPARED = [*KEYS, "published", "measured", "difference", "low", "high", "verdict", "flag"]
OF_A_CELL = ["psr", "subjects", "faces"]
PAPER_N = 100


def read_published(path: Path | str) -> pd.DataFrame:
    """The published table: one row a cell, PSR in percent, an empty flag where nothing is suspect.

    Raises InputError for a file that is missing, is not such a table, or holds a cell twice.
    """
    try:
        table = pd.read_csv(path, dtype={"flag": object})
    except FileNotFoundError:
        raise InputError(f"{path}: no such table") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from None
    return _checked_published(table, str(path))


def compare(psr: pd.DataFrame, published: pd.DataFrame, published_n: int = PAPER_N) -> pd.DataFrame:
    """Published and measured PSR of every cell that both have, in the published order, one row a storage.

    `difference` is measured - published in points; `low` and `high` bound it at 95 % (Newcombe's hybrid score
    interval of two independent proportions: of the measured cell's `subjects`, and of `published_n` faces that are
    assumed behind each published one).
    `verdict`: "agrees" where the interval holds 0, else "higher" or "lower" (the measured PSR is), "suspect"
    where the published cell is flagged. Each interval stands alone: of many cells up to 5 % miss 0 by chance,
    and the cells of one study share their faces, so they do so together.
    Raises InputError for tables without the columns, with a cell twice, or with a PSR outside 0..100.
    """
    measured = _measured(_checked(psr, [*KEYS, "subjects", "psr"], "psr"))
    published = _checked_published(published)
    cells = _in_grid(measured, published).rename(columns={"psr": "measured"})[[*KEYS, "subjects", "measured"]]
    both = published.rename(columns={"psr": "published"}).merge(cells, on=CELL, how="inner", sort=False)
    both["difference"] = both["measured"] - both["published"]
    both["low"], both["high"] = _newcombe(both["measured"], both["subjects"], both["published"], published_n)
    rules = [both["flag"] != "", both["low"] > 0, both["high"] < 0]
    both["verdict"] = np.select(rules, ["suspect", "higher", "lower"], "agrees")
    return both[COMPARED]


def in_paper_grid(psr: pd.DataFrame, n: int = PAPER_N, faces: Mapping[tuple, pd.Series] | None = None) -> pd.DataFrame:
    """The measured cells of the paper's grid, with `subjects` (n) and `storage` where the table has none, `box` (white:
    source and target are one model, black: they differ), and `faces`, as `psr.hidden_by_cell` gives them, if it has.
    Raises InputError as `compare` does."""
    psr = psr if "storage" in psr else psr.assign(storage="")
    psr = psr if "subjects" in psr else psr.assign(subjects=n)
    cells = _measured(_checked(psr, [*KEYS, "subjects", "psr"], "psr"))
    names = cells[[*(key for key in NAMES if key in cells), "top_k"]].itertuples(index=False, name=None)
    cells = cells.assign(faces=pd.Series([(faces or {}).get(name) for name in names], index=cells.index, dtype=object))
    cells = select(cells[[*KEYS, *OF_A_CELL]], PAPER).reset_index(drop=True)
    return cells.assign(box=np.where(cells["source"] == cells["target"], "white", "black"))


def select(cells: pd.DataFrame, where: Mapping) -> pd.DataFrame:
    """The rows whose columns have the wanted values: one value or a list of them a column."""
    chosen = pd.Series(True, index=cells.index)
    for column, wanted in where.items():
        chosen &= cells[column].isin(wanted if isinstance(wanted, list) else [wanted])
    return cells[chosen]


Tests = Callable[[pd.DataFrame], pd.DataFrame]
"""From cells to what a statement says of them, rows of `high, high_n, high_faces, low, low_n, low_faces, strict`: the
PSR `high` of `high_n` subjects is at least (strict: above) `low` of `low_n`. A bound has infinite n and no faces."""


def at_least(bound: float, **where: object) -> Tests:
    """The PSR of every selected cell is at least `bound` percent."""
    return lambda cells: _said(select(cells, where), high="", low=bound)


def at_most(bound: float, *, strict: bool = False, **where: object) -> Tests:
    """The PSR of every selected cell is at most (strict: below) `bound` percent."""
    return lambda cells: _said(select(cells, where), high=bound, low="", strict=strict)


def ordered(differing: Iterable[str], higher: Mapping, lower: Mapping, **where: object) -> Tests:
    """Among cells alike in all but the `differing` keys, those of `higher` have no lower PSR than `lower`."""
    differing = list(differing)
    same = [key for key in KEYS if key not in differing]

    def tests(cells: pd.DataFrame) -> pd.DataFrame:
        chosen = select(cells, where)
        pairs = select(chosen, higher).merge(select(chosen, lower), on=same, suffixes=("", "_low"))
        itself = (pairs[differing].to_numpy() == pairs[[f"{key}_low" for key in differing]].to_numpy()).all(axis=1)
        return _said(pairs[~itself], high="", low="_low")

    return tests


def rises(**where: object) -> Tests:
    """PSR is at least that of the next smaller budget."""
    return lambda cells: _said(_neighbours(select(cells, where), "eps"), high="", low="_before")


def falls(**where: object) -> Tests:
    """PSR is at most that of the next smaller k."""
    return lambda cells: _said(_neighbours(select(cells, where), "top_k"), high="_before", low="")


def _neighbours(cells: pd.DataFrame, along: str) -> pd.DataFrame:
    """Each cell with the columns of the next smaller one along a key, `_before`."""
    same = [key for key in KEYS if key != along]
    cells = cells.sort_values(along)
    before = cells.groupby(same, sort=False)[OF_A_CELL].shift().add_suffix("_before")
    return cells.join(before).dropna(subset="psr_before")


def _said(rows: pd.DataFrame, high: str | float, low: str | float, strict: bool = False) -> pd.DataFrame:
    """high, low: what follows the names of a cell's columns, or a bound."""
    for side, of in (("high", high), ("low", low)):
        cell = [rows[f"{name}{of}"] for name in OF_A_CELL] if isinstance(of, str) else [of, np.inf, None]
        rows = rows.assign(**dict(zip((side, f"{side}_n", f"{side}_faces"), cell, strict=True)))
    return rows.assign(strict=strict)


def _newcombe(measured: pd.Series, n: pd.Series, published: pd.Series, published_n: int) -> tuple:
    """95 % bounds of measured - published, in points."""
    if measured.empty:
        return measured, measured
    low, high = confint_proportions_2indep(
        measured.to_numpy() / 100 * n.to_numpy(),
        n.to_numpy(),
        published.to_numpy() / 100 * published_n,
        published_n,
        method="newcomb",
        compare="diff",
    )
    return 100 * low, 100 * high


def _in_grid(measured: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """The rows whose every key the published table knows: no clean rows, no further models, budgets or k."""
    inside = np.logical_and.reduce([measured[column].isin(published[column]) for column in CELL])
    return measured[inside].astype({"eps": published["eps"].dtype, "top_k": published["top_k"].dtype})


def _measured(psr: pd.DataFrame) -> pd.DataFrame:
    """The cells behind which there is a face: with missed faces dropped, a cell can be left with none. Of keys that the
    paper does not have, those at the default."""
    for key in [key for key in DEFAULTS if key in psr]:
        psr = psr[psr[key] == DEFAULTS[key]]
    return psr[(psr["subjects"] > 0) & psr["psr"].notna()]


def _checked(table: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    """The table with its numbers as numbers; InputError where it is not a PSR table."""
    absent = [column for column in columns if column not in table]
    if absent:
        raise InputError(f"{name}: no column {', '.join(absent)}; it needs {', '.join(columns)}")
    try:
        numbers = {key: pd.to_numeric(table[key]) for key in ("eps", "top_k", "psr", "subjects") if key in columns}
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: {error}") from None
    table = table.assign(**numbers)
    outside = table[(table["psr"] < 0) | (table["psr"] > 100)]
    keys = [key for key in KEYS if key in columns]
    if len(outside):
        raise InputError(f"{name}: PSR outside 0..100 in {_where(outside, keys)}")
    twice = table[table.duplicated(keys)]
    if len(twice):
        raise InputError(f"{name}: two rows for {_where(twice, keys)}")
    return table


def _checked_published(table: pd.DataFrame, name: str = "published table") -> pd.DataFrame:
    table = _checked(table, PUBLISHED, name)
    empty = table[table["psr"].isna()]
    if len(empty):
        raise InputError(f"{name}: no PSR in {_where(empty, CELL)}")
    return table.assign(flag=table["flag"].astype(object).fillna(""))


def _where(rows: pd.DataFrame, keys: list[str]) -> str:
    return ", ".join(f"{key} {rows.iloc[0][key]}" for key in keys)
