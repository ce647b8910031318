"""Finished studies that repeat each other: what differs between them, and so what their spread says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cloakbench.errors import InputError
from cloakbench.measures.cells import read_cells
from cloakbench.photos.sample import attacked, read_photos
from cloakbench.report.verify import facts_of
from cloakbench.statistics import repeats

# what differs: how it is told, and the table
KINDS: dict[str, tuple[str, Callable[..., pd.DataFrame]]] = {
    "draws": (
        "Other people, none in two of them: PSR of all together with its 95 % interval (of the draws where they differ "
        "by more than chance, p < .05), spread: standard deviation between draws beyond chance",
        repeats.draws,
    ),
    "noise": (
        "The same people, other random numbers of the attacks: between: standard deviation between repeats, error: of "
        "the mean with other people and repeats; changed: faces hidden in some repeats alone, in percent",
        repeats.noise,
    ),
    "rounding": (
        "The same people and random numbers, computed again: what differs is rounding; changed: faces hidden in some "
        "repeats alone, in percent",
        repeats.rounding,
    ),
}

READS = ("arch", "head", "crop", "mean", "std")  # of a model: what a face and its scores depend on beside the weights


class Repeated(NamedTuple):
    """kind: of KINDS. facts: provenance.json of each study."""

    kind: str
    table: pd.DataFrame
    facts: list[dict[str, Any]]


def repeated(studies: Sequence[Path], k: int) -> Repeated:
    """The kind of repeat, and its table of the cells that all studies have.

    Raises InputError for fewer than two studies, for studies that ask different questions, that search other galleries,
    that share some of their subjects and not all, or of the same subjects some with other random numbers and some not.
    """
    if len(studies) < 2:
        raise InputError("one study repeats nothing; name two or more")
    facts = [facts_of(study) for study in studies]
    enrolled = [_enrolled(study / "enrolment.csv") for study in studies]
    for study, told, photos in zip(studies[1:], facts[1:], enrolled[1:], strict=True):
        if other := _asked_otherwise(facts[0], told) or _enrolled_otherwise(enrolled[0], photos):
            raise InputError(f"{studies[0]} and {study}: other {other}; these are no repeats")
    kind = _kind(studies, facts)
    ranks = [read_cells(study / "ranks", told["config"]["matrix"]) for study, told in zip(studies, facts, strict=True)]
    table = KINDS[kind][1](ranks, k, facts[0]["config"]["detection"]["missed"])
    if table.empty:
        raise InputError(f"{' and '.join(map(str, studies))}: have no cell in common")
    among = ranks[0].groupby("target")["classes"].first()
    table.insert(list(table).index("target") + 1, "among", table["target"].map(among))
    return Repeated(kind, table, facts)


def _asked_otherwise(*facts: dict) -> str | None:
    """The first part of what both studies have that says something else in one of them; None where they agree."""
    parts = ("detection", "attacks", "crops", "storages")
    weights = [{name: origin["converted"] for name, origin in told["weights"].items()} for told in facts]
    read = [
        {name: [told["config"]["models"][name].get(part) for part in READS] for name in told["weights"]}
        for told in facts
    ]
    asked = {"weights": weights, "models": read} | {part: [told["config"][part] for told in facts] for part in parts}
    for part, (one, other) in asked.items():
        if differing := sorted(key for key in one.keys() & other.keys() if one[key] != other[key]):
            return f"{part} ({differing[0]})"
    return None


def _enrolled(path: Path) -> set[str]:
    """The hashes of a study's enrolled photos; none where it has no enrolment.csv."""
    return {*read_photos(path)["sha256"]} if path.exists() else set()


def _enrolled_otherwise(one: set[str], other: set[str]) -> str | None:
    """The gallery, where the photos that were enrolled differ."""
    if one == other:
        return None
    counts = f"{len(one)} and {len(other)} enrolled photos, {len(one & other)} in both"
    return f"gallery ({counts}; dataset.draws keeps one for all)"


def _kind(studies: Sequence[Path], facts: Sequence[dict]) -> str:
    photos = [attacked(read_photos(study / "subjects.csv")) for study in studies]
    people = [{*rows["identity"]} for rows in photos]
    if all(one.isdisjoint(other) for one, other in combinations(people, 2)):
        return "draws"
    for study, whose, rows in zip(studies, people, photos, strict=True):
        if not rows["sha256"].equals(photos[0]["sha256"]):
            both = len(whose & people[0])
            shared = f"{both} of {len(whose)} subjects" if both else "some subjects of others"
            remedy = "repeated draws have nobody in common (dataset.draws and draw), other repeats everybody"
            raise InputError(f"{studies[0]} and {study}: share {shared}; {remedy}")
    seeds = [told["config"].get("noise", told["config"]["seed"]) for told in facts]
    if len({*seeds}) not in (1, len(seeds)):
        named = " and ".join(map(str, studies))
        raise InputError(f"{named}: some have the same random numbers, some others; keep apart")
    return "noise" if len({*seeds}) > 1 else "rounding"
