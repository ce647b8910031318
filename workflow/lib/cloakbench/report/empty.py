"""Where a table has no number, and why: said beside it, for an empty field says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import pandas as pd

from cloakbench.measures.quality import FINEST

SCORES = ["own_score", "other_score"]
NO_SCORES = "a class head, whose logits are no scores that could be compared from face to face; its ranks stand"
NO_MS_SSIM = f"below {FINEST} pixels its coarsest scale is smaller than its window; the other measures stand"


def why_empty(table: pd.DataFrame, shown: Iterable[str]) -> Iterator[str]:
    """A line for what is among the columns `shown`, or has rows of its own, and has no number for a known reason.

    >>> faces = pd.DataFrame({"target": ["a", "b"], "rank": [0, 0], "own_score": [0.9, None]})
    >>> [*why_empty(faces, ["own_score"])]
    ['own_score: empty of b (a class head, whose logits are no scores that could be compared from face to face; \
its ranks stand)']
    """
    shown = {*shown}
    if (scores := [name for name in SCORES if name in shown]) and {"rank", "target"} <= {*table}:
        gone = table[scores[0]].isna() & table["rank"].notna()  # a face that was not found has neither
        yield from _line(" and ".join(scores), table.loc[gone, "target"], NO_SCORES)
    if "ms_ssim" in shown:
        yield from _line("ms_ssim", table.loc[table["ms_ssim"].isna(), "source"], NO_MS_SSIM)
    elif "measure" in table:
        gone = (table["measure"] == "ms_ssim") & (table["faces"] == 0)
        yield from _line("ms_ssim", table.loc[gone, "source"], NO_MS_SSIM)


def why_absent(name: str, facts: Mapping) -> str:
    """Why a finished study has no such table, or which ones it has. facts: its provenance.json.

    >>> why_absent("scores/b.csv", {"config": {"models": {"b": {"head": "softmax"}}}, "files": {}})
    'b has a class head, whose logits are no scores that could be compared from face to face; its ranks stand'
    >>> why_absent("x.csv", {"config": {"models": {}}, "files": {"psr.csv": "", "ranks/a.csv": "", "table1.md": ""}})
    'no table of this study; known: psr.csv'
    """
    folder, target = str(PurePosixPath(name).parent), PurePosixPath(name).stem
    if folder == "scores" and facts["config"]["models"].get(target, {}).get("head") == "softmax":
        return f"{target} has {NO_SCORES}"
    known = [
        file for file in facts["files"] if file.endswith(".csv") and PurePosixPath(file).parent.name in ("", "scores")
    ]
    return f"no table of this study; known: {', '.join(known)}"


def _line(name: str, whose: pd.Series, reason: str) -> Iterator[str]:
    if len(whose):
        yield f"{name}: empty of {', '.join(dict.fromkeys(whose))} ({reason})"
