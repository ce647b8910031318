"""Photos that were passed over, counted by their reasons, for whoever has too few left."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.photos.sample import shown

MOST = 5  # reasons in one line


def told(photos: pd.DataFrame) -> str:
    """The rest of a line: how many photos were passed over and why. photos: columns file and passed_over."""
    reasons = Counter(map(kind, photos.loc[photos["file"] != "", "passed_over"]))
    if not reasons:
        return ""
    named = [f"{count} x {reason}" for reason, count in reasons.most_common(MOST)]
    others = [f"{len(reasons) - MOST} other reasons"] if len(reasons) > MOST else []
    return f"; {reasons.total()} photos passed over: {', '.join(named + others)}"


def kind(reason: str) -> str:
    """A reason without what is one photo's alone: names, numbers, a decoder's words."""
    if copy := re.match("(nearly the )?same picture as ", reason):
        return f"{copy[0]}another"
    return re.sub(r"\d+ x \d+ pixels: | \(.*\)|; accepted: .*", "", reason)[:100]


def write_passed_over(path: Path, photos: pd.DataFrame) -> None:
    """A table of a draw that failed: identity, file, passed_over. It stays when Snakemake removes the job's outputs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown(photos[["identity", "file", "passed_over"]]).to_csv(index=False), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); make room or give access") from None
