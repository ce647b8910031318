"""The page of a study beside the paper, in Markdown."""

from __future__ import annotations

import pandas as pd

from cloakbench.paper.comparison import CELL, PAPER_N


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
        "(significant at 95 %, corrected over the cells of the statement; of measured ones on the same faces).",
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
