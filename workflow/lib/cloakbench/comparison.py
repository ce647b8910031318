"""A study beside the published Table 1: cell by cell, and statement by statement.

The published table is a data frame with the columns PUBLISHED. Its values are never repaired. A cell carries
a `flag`, and no verdict but "suspect", by two rules:

- impossible: its PSR is below that of a larger k, though a face that is recognised among the first k classes
  is recognised among any larger number of them;
- falls with eps: its PSR is below that of a smaller budget, all else equal. This can be chance.

The table does not say how many faces stand behind a cell; it has steps of 1 %, so N = 100 is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from cloakbench.errors import InputError

CELL = ["source", "attack", "eps", "target", "top_k"]
KEYS = ["source", "attack", "eps", "storage", "target", "top_k"]
PUBLISHED = [*CELL, "psr", "flag"]
COMPARED = [*KEYS, "published", "measured", "difference", "low", "high", "verdict", "flag"]
EVALUATED = ["storage", "claim", "text", "section", "cells", "violations", "beyond_noise", "verdict"]
PAPER_N = 100
GRID = {
    "source": ["facenet", "resnet50", "senet50"],
    "attack": ["bim", "illc"],
    "eps": [4, 8, 16, 32, 64, 128],
    "target": ["facenet", "resnet50", "senet50"],
    "top_k": [1, 5, 10, 25, 50],
}
HIGH = 90  # per cent; the paper calls a protection "high" without a number


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
    interval of two independent proportions, `published_n` faces assumed behind each published cell).
    `verdict`: "agrees" where the interval holds 0, else "higher" or "lower" (the measured PSR is), "suspect"
    where the published cell is flagged. Each interval stands alone: of many cells up to 5 % miss 0 by chance,
    and the cells of one study share their faces, so they do so together.
    Raises InputError for tables without the columns, with a cell twice, or with a PSR outside 0..100.
    """
    measured = _measured(_checked(psr, [*KEYS, "n", "psr"], "psr"))
    published = _checked_published(published)
    cells = _in_grid(measured, published).rename(columns={"psr": "measured"})[[*KEYS, "n", "measured"]]
    both = published.rename(columns={"psr": "published"}).merge(cells, on=CELL, how="inner", sort=False)
    both["difference"] = both["measured"] - both["published"]
    both["low"], both["high"] = _newcombe(both["measured"], both["n"], both["published"], published_n)
    rules = [both["flag"] != "", both["low"] > 0, both["high"] < 0]
    both["verdict"] = np.select(rules, ["suspect", "higher", "lower"], "agrees")
    return both[COMPARED]


def covers(psr: pd.DataFrame, published: pd.DataFrame) -> bool:
    """Whether the study has measured every published cell, in each of its storages."""
    return not missing(psr, published)


def missing(psr: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """What the study lacks of the published grid, one line each: whole values first, then single cells."""
    measured = _measured(_checked(psr, [*KEYS, "n", "psr"], "psr"))
    published = _checked_published(published)
    measured = _in_grid(measured, published)
    if measured.empty:
        return ["every cell: the study has none of the published grid"]
    return [
        line
        for storage, cells in measured.groupby("storage", sort=False)
        for line in _lacking(cells, published, str(storage))
    ]


def _lacking(cells: pd.DataFrame, published: pd.DataFrame, storage: str) -> list[str]:
    lines = []
    rest = published
    for column in CELL:
        absent = [value for value in published[column].unique() if value not in set(cells[column])]
        if absent:
            lines.append(f"{storage}: {column} {', '.join(map(str, absent))}")
            rest = rest[~rest[column].isin(absent)]
    holes = rest.merge(cells[CELL], on=CELL, how="left", indicator=True)
    holes = holes[holes["_merge"] == "left_only"]
    for cell, ranks in holes.groupby(CELL[:-1], sort=False)["top_k"]:
        source, attack, eps, target = cell
        lines.append(f"{storage}: {source} {attack} eps {eps} -> {target}, top {', '.join(map(str, ranks))}")
    return lines


Tests = Callable[[pd.DataFrame], pd.DataFrame]
"""From cells to what a statement says of them: rows of `high, high_n, low, low_n, strict`, meaning that the
PSR `high` of `high_n` faces is at least (strict: above) `low` of `low_n`; a fixed bound has infinite n."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that a table of PSR can contradict.

    name:    a short key.
    text:    what is claimed, in our words.
    section: where the paper says so.
    tests:   the cells or pairs of cells that it is about, and what it says of each.
    exact:   it holds of any correct table, face by face, so that no violation can be noise.
    """

    name: str
    text: str
    section: str
    tests: Tests
    exact: bool = False


def at_least(bound: float, **where: object) -> Tests:
    """The PSR of every selected cell is at least `bound` percent."""

    def tests(cells: pd.DataFrame) -> pd.DataFrame:
        chosen = _select(cells, where)
        return chosen.assign(high=chosen["psr"], high_n=chosen["n"], low=bound, low_n=np.inf, strict=False)

    return tests


def at_most(bound: float, *, strict: bool = False, **where: object) -> Tests:
    """The PSR of every selected cell is at most (strict: below) `bound` percent."""

    def tests(cells: pd.DataFrame) -> pd.DataFrame:
        chosen = _select(cells, where)
        return chosen.assign(high=bound, high_n=np.inf, low=chosen["psr"], low_n=chosen["n"], strict=strict)

    return tests


def ordered(differing: Iterable[str], higher: Mapping, lower: Mapping, **where: object) -> Tests:
    """Among cells alike in all but the `differing` keys, those of `higher` have no lower PSR than `lower`."""
    differing = list(differing)
    same = [key for key in KEYS if key not in differing]

    def tests(cells: pd.DataFrame) -> pd.DataFrame:
        chosen = _select(cells, where)
        pairs = _select(chosen, higher).merge(_select(chosen, lower), on=same, suffixes=("", "_low"))
        itself = (pairs[differing].to_numpy() == pairs[[f"{key}_low" for key in differing]].to_numpy()).all(axis=1)
        names = {"psr": "high", "n": "high_n", "psr_low": "low", "n_low": "low_n"}
        return pairs[~itself].rename(columns=names).assign(strict=False)

    return tests


def rises(**where: object) -> Tests:
    """PSR is at least that of the next smaller budget."""
    return _neighbours("eps", ("psr_before", "n_before", "psr", "n"), where)


def falls(**where: object) -> Tests:
    """PSR is at most that of the next smaller k."""
    return _neighbours("top_k", ("psr", "n", "psr_before", "n_before"), where)


def _neighbours(along: str, low_then_high: tuple[str, ...], where: Mapping) -> Tests:
    same = [key for key in KEYS if key != along]

    def tests(cells: pd.DataFrame) -> pd.DataFrame:
        chosen = _select(cells, where).sort_values(along)
        before = chosen.groupby(same, sort=False)[["psr", "n"]].shift().add_suffix("_before")
        pairs = chosen.join(before).dropna(subset="psr_before")
        columns = dict(zip(low_then_high, ("low", "low_n", "high", "high_n"), strict=True))
        return pairs.rename(columns=columns).assign(strict=False)

    return tests


def _select(cells: pd.DataFrame, where: Mapping) -> pd.DataFrame:
    chosen = pd.Series(True, index=cells.index)
    for column, wanted in where.items():
        chosen &= cells[column].isin(wanted if isinstance(wanted, list) else [wanted])
    return cells[chosen]


BLACK = {"box": "black"}  # source and target differ
WHITE = {"box": "white"}  # faces met by the model that they were crafted on
OXFORD = ["resnet50", "senet50"]  # the two with an input of 224 pixels
RESULTS = "Evaluation results"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "falls-with-k",
        "A larger k never raises PSR (follows from the definition of top-k).",
        "Evaluation metric",
        falls(),
        exact=True,
    ),
    Claim("rises-with-eps", "PSR rises with the noise budget, in all figures.", RESULTS, rises()),
    Claim(
        "transfer-rises-with-eps",
        "A larger budget makes the faces more transferable to other models.",
        RESULTS,
        rises(**BLACK),
    ),
    Claim(
        "bim-over-illc",
        "BIM, though untargeted, protects at least as well as ILLC.",
        "Introduction; Conclusion",
        ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}),
    ),
    Claim(
        "bim-transfers-better",
        "BIM is better than ILLC in the transferability of its faces.",
        "Conclusion",
        ordered(["attack"], {"attack": "bim"}, {"attack": "illc"}, **BLACK),
    ),
    Claim(
        "own-model-highest",
        "Faces protect best against the model that they were crafted on.",
        RESULTS,
        ordered(["target"], WHITE, BLACK),
    ),
    Claim(
        "facenet-transfers-best",
        "Faces crafted on FaceNet transfer better than those of ResNet and SENet (to a common target).",
        RESULTS,
        ordered(["source"], {"source": "facenet"}, {"source": OXFORD}, **BLACK),
    ),
    Claim(
        "facenet-transfers-best-bim-32",
        "The same, for BIM at eps 32, where the figures are compared.",
        RESULTS,
        ordered(["source"], {"source": "facenet"}, {"source": OXFORD}, attack="bim", eps=32, **BLACK),
    ),
    Claim(
        "facenet-bim-32-top25",
        "FaceNet, BIM, eps 32, top-25: at least 95 % against ResNet and SENet.",
        RESULTS,
        at_least(95, source="facenet", attack="bim", eps=32, top_k=25, **BLACK),
    ),
    Claim(
        "facenet-illc-32-top25",
        "FaceNet, ILLC, eps 32, top-25: at most 65 % against ResNet and SENet.",
        RESULTS,
        at_most(65, source="facenet", attack="illc", eps=32, top_k=25, **BLACK),
    ),
    Claim(
        "facenet-bim-32-top50-resnet",
        "FaceNet, BIM, eps 32, top-50: protects up to 89 % against ResNet (tested as: at least).",
        RESULTS,
        at_least(89, source="facenet", attack="bim", eps=32, top_k=50, target="resnet50"),
    ),
    Claim(
        "facenet-bim-32-top50-senet",
        "FaceNet, BIM, eps 32, top-50: protects up to 91 % against SENet (tested as: at least).",
        RESULTS,
        at_least(91, source="facenet", attack="bim", eps=32, top_k=50, target="senet50"),
    ),
    Claim(
        "largest-at-8-facenet",
        "At eps 8 the largest protection is 58 %, at top-1 (read of faces crafted on FaceNet with BIM).",
        RESULTS,
        at_most(58, source="facenet", attack="bim", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "largest-at-8",
        "At eps 8 the largest protection is 58 %, at top-1 (read of any model against another).",
        RESULTS,
        at_most(58, eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "illc-at-8-facenet",
        "At eps 8 ILLC is not higher than 32 % (read of faces crafted on FaceNet).",
        RESULTS,
        at_most(32, source="facenet", attack="illc", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "illc-at-8",
        "At eps 8 ILLC is not higher than 32 % (read of any model against another).",
        RESULTS,
        at_most(32, attack="illc", eps=8, top_k=1, **BLACK),
    ),
    Claim(
        "resnet-worst-own",
        "ResNet does worst against itself at eps 4, top-1 (39 % with ILLC).",
        RESULTS,
        ordered(
            ["source", "target"],
            {"source": ["facenet", "senet50"]},
            {"source": "resnet50"},
            eps=4,
            top_k=1,
            **WHITE,
        ),
    ),
    Claim(
        "resnet-worst-facenet",
        "ResNet against FaceNet is the worst pair of models at eps 32, top-5 (21 % with ILLC).",
        RESULTS,
        ordered(
            ["source", "target"],
            BLACK,
            {"source": "resnet50", "target": "facenet"},
            eps=32,
            top_k=5,
            **BLACK,
        ),
    ),
    Claim(
        "resnet-transfers-worst",
        "Of the three, faces crafted on ResNet protect least (against a common other target).",
        RESULTS,
        ordered(["source"], {"source": ["facenet", "senet50"]}, {"source": "resnet50"}, **BLACK),
    ),
    Claim(
        "nothing-high-at-8-black-box",
        f"Against another model no imperceptible noise (eps 4 and 8) protects highly ({HIGH} %).",
        "Introduction",
        at_most(HIGH, strict=True, eps=[4, 8], top_k=1, **BLACK),
    ),
    Claim(
        "nothing-high-at-8",
        f"No imperceptible noise (eps 4 and 8) protects highly ({HIGH} %), not even against the own model.",
        "Abstract; Conclusion",
        at_most(HIGH, strict=True, eps=[4, 8], top_k=1),
    ),
    Claim(
        "only-above-32",
        f"Privacy (PSR of {HIGH} % against another model) is achievable only with eps > 32.",
        RESULTS,
        at_most(HIGH, strict=True, eps=[4, 8, 16, 32], top_k=1, **BLACK),
    ),
    Claim(
        "achievable-above-32",
        f"With eps > 32 it is achievable: FaceNet's BIM faces reach {HIGH} % against ResNet and SENet.",
        RESULTS,
        at_least(HIGH, source="facenet", attack="bim", eps=[64, 128], **BLACK),
    ),
    Claim(
        "resizing-one-source",
        "Resizing lowers transfer: faces crafted at 224 pixels protect more at 224 than at FaceNet's 160.",
        "Introduction; Evaluation results",
        ordered(["target"], {"target": OXFORD}, {"target": "facenet"}, source=OXFORD, **BLACK),
    ),
    Claim(
        "resizing-one-target",
        "Resizing lowers transfer: at 224 pixels, faces crafted at 224 protect more than FaceNet's of 160.",
        "Introduction; Evaluation results",
        ordered(["source"], {"source": OXFORD}, {"source": "facenet"}, target=OXFORD, **BLACK),
    ),
)


def evaluate(claims: Iterable[Claim], psr: pd.DataFrame, n: int = PAPER_N) -> pd.DataFrame:
    """What a PSR table says to each statement, one row a storage and claim.

    `psr` is a study's table or the published one; `n` faces stand behind each cell of a table without that
    column. Cells outside the paper's grid are left aside. `cells` counts the cells or pairs tested,
    `violations` those that say otherwise, `beyond_noise` the violations that are significant at 95 %: a score
    test of two proportions, or of one against a bound, corrected by Benjamini and Hochberg over the cells of
    the claim (of 450 pairs, some would fail by chance alone). In claims about the largest PSR, top-1 stands
    for every k: a larger k never raises it.

    Attacks, targets and budgets are compared on the same faces, where a paired test would be in place, but
    only the marginal counts are at hand: the unpaired test is conservative, and says "within noise" too often
    rather than too seldom.

    verdict: "supported" (no violation), "contradicted within noise", "contradicted" (some are beyond noise),
    "not covered" (no cell that the claim is about).
    """
    cells = _of_claims(psr, n)
    rows = [
        {"storage": storage, **_evaluated(claim, cells[cells["storage"] == storage])}
        for storage in (cells["storage"].unique() if len(cells) else [""])
        for claim in claims
    ]
    return pd.DataFrame(rows, columns=EVALUATED)


def _evaluated(claim: Claim, cells: pd.DataFrame) -> dict:
    tests = claim.tests(cells)
    violated = (tests["high"] < tests["low"]) | (tests["strict"] & (tests["high"] == tests["low"]))
    beyond = violated if claim.exact else violated & _significant(tests, violated)
    return {
        "claim": claim.name,
        "text": claim.text,
        "section": claim.section,
        "cells": len(tests),
        "violations": int(violated.sum()),
        "beyond_noise": int(beyond.sum()),
        "verdict": _verdict(len(tests), violated.any(), beyond.any()),
    }


def _verdict(cells: int, violated: bool, beyond_noise: bool) -> str:
    if not cells:
        return "not covered"
    if not violated:
        return "supported"
    return "contradicted" if beyond_noise else "contradicted within noise"


def _significant(tests: pd.DataFrame, violated: pd.Series) -> np.ndarray:
    """Which rows differ from what is claimed at a false discovery rate of 5 %.

    z = (low - high) / sqrt(p (1 - p) (1/n_high + 1/n_low)) with p the pooled proportion; a bound is a sample
    without end, whose share of the pool is all of it.
    """
    if not violated.any():
        return np.zeros(len(tests), dtype=bool)
    high, low = tests["high"].to_numpy(float) / 100, tests["low"].to_numpy(float) / 100
    spread_high, spread_low = 1 / tests["high_n"].to_numpy(float), 1 / tests["low_n"].to_numpy(float)
    pooled = (high * spread_low + low * spread_high) / (spread_high + spread_low)
    deviation = np.sqrt(pooled * (1 - pooled) * (spread_high + spread_low))
    z = np.divide(low - high, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    p_values = [erfc(max(score, 0) / sqrt(2)) for score in np.where(violated, z, 0)]
    return multipletests(p_values, alpha=0.05, method="fdr_bh")[0]


def _of_claims(psr: pd.DataFrame, n: int) -> pd.DataFrame:
    """The cells that the statements are about, with storage, n and `box` beside them."""
    psr = psr if "storage" in psr else psr.assign(storage="")
    psr = psr if "n" in psr else psr.assign(n=n)
    cells = _measured(_checked(psr, [*KEYS, "n", "psr"], "psr"))[[*KEYS, "n", "psr"]]
    cells = _select(cells, GRID).reset_index(drop=True)
    return cells.assign(box=np.where(cells["source"] == cells["target"], "white", "black"))


def comparison_markdown(comparison: pd.DataFrame, claims_published: pd.DataFrame, claims_study: pd.DataFrame) -> str:
    """The page of a study beside the paper: counts of verdicts, the statements, then every cell."""
    parts = [
        "# Comparison with the published table",
        "Differences are measured - published, in points, with Newcombe's 95 % interval; "
        f"N = {PAPER_N} is assumed for the published cells. At most some 5 % of the cells differ by chance, "
        "and the cells of one study share their faces.",
        _counts(comparison).to_markdown(index=False, floatfmt=".1f"),
        "## Statements of the paper",
        "In brackets: violating of tested cells or pairs, and how many of them are beyond noise "
        "(significant at 95 %, corrected over the cells of the statement).",
        _beside(claims_published, claims_study).to_markdown(index=False),
        "## Cell by cell",
        _cell_table(comparison).to_markdown(index=False, floatfmt=".1f"),
        *_flag_notes(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def _counts(comparison: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for storage, cells in comparison.groupby("storage", sort=False):
        verdicts = cells["verdict"].value_counts()
        unflagged = cells[cells["verdict"] != "suspect"]["difference"]
        rows.append(
            {
                "storage": storage,
                "cells": len(cells),
                **{verdict: verdicts.get(verdict, 0) for verdict in ("agrees", "higher", "lower", "suspect")},
                "mean difference": unflagged.mean(),
                "mean absolute difference": unflagged.abs().mean(),
            }
        )
    return pd.DataFrame(rows or {"cells": [0]})


def _beside(published: pd.DataFrame, study: pd.DataFrame) -> pd.DataFrame:
    table = published[["claim", "text", "section"]].rename(columns={"text": "statement"})
    table["published"] = _verdict_texts(published).to_numpy()
    for storage, rows in study.groupby("storage", sort=False):
        measured = pd.Series(_verdict_texts(rows).to_numpy(), index=rows["claim"])
        table[f"measured, {storage}" if storage else "measured"] = table["claim"].map(measured).to_numpy()
    return table


def _verdict_texts(evaluated: pd.DataFrame) -> pd.Series:
    def text(row: pd.Series) -> str:
        if not row["cells"]:
            return row["verdict"]
        beyond = f", {row['beyond_noise']} beyond noise" if row["violations"] else ""
        return f"{row['verdict']} ({row['violations']} of {row['cells']}{beyond})"

    return evaluated.apply(text, axis=1)


def _cell_table(comparison: pd.DataFrame) -> pd.DataFrame:
    intervals = [f"{low:+.1f} to {high:+.1f}" for low, high in zip(comparison["low"], comparison["high"], strict=True)]
    table = comparison.drop(columns=["low", "high", "flag"])
    table.insert(table.columns.get_loc("verdict"), "95 % interval", intervals)
    return table.rename(columns={"top_k": "k"})


def _flag_notes(comparison: pd.DataFrame) -> list[str]:
    flagged = comparison[comparison["flag"] != ""].drop_duplicates(CELL)
    return [
        f"Suspect: {row.source}, {row.attack}, eps {row.eps}, against {row.target}, top-{row.top_k}: "
        f"published {row.published:.1f}; {row.flag}."
        for row in flagged.itertuples()
    ]


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
    """The cells behind which there is a face: with missed faces dropped, a cell can be left with none."""
    return psr[(psr["n"] > 0) & psr["psr"].notna()]


def _checked(table: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    """The table with its numbers as numbers; InputError where it is not a PSR table."""
    absent = [column for column in columns if column not in table]
    if absent:
        raise InputError(f"{name}: no column {', '.join(absent)}; it needs {', '.join(columns)}")
    try:
        numbers = {key: pd.to_numeric(table[key]) for key in ("eps", "top_k", "psr", "n") if key in columns}
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
