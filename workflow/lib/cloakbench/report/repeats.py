"""Finished studies that repeat each other: what differs between them, and so what their spread says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

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


def repeated(studies: Sequence[Path], k: int) -> tuple[str, pd.DataFrame]:
    """The kind of repeat, and its table of the cells that all studies have.

    Raises InputError for fewer than two studies, for studies that ask different questions, that share some of their
    subjects and not all, or of the same subjects some with other random numbers and some not.
    """
    if len(studies) < 2:
        raise InputError("one study repeats nothing; name two or more")
    facts = [facts_of(study) for study in studies]
    for study, told in zip(studies, facts, strict=True):
        for part in ("weights", "detection", "attacks", "crops", "storages"):
            one, other = (_asked(part, known) for known in (facts[0], told))
            if differing := sorted(key for key in one.keys() & other.keys() if one[key] != other[key]):
                raise InputError(f"{studies[0]} and {study}: other {part} ({differing[0]}); these are no repeats")
    kind = _kind(studies, facts)
    ranks = [read_cells(study / "ranks", told["config"]["matrix"]) for study, told in zip(studies, facts, strict=True)]
    table = KINDS[kind][1](ranks, k, facts[0]["config"]["detection"]["missed"])
    if table.empty:
        raise InputError(f"{' and '.join(map(str, studies))}: have no cell in common")
    return kind, table


def _asked(part: str, facts: dict) -> dict:
    if part == "weights":
        return {name: origin["converted"] for name, origin in facts["weights"].items()}
    return facts["config"][part]


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
        raise InputError(
            f"{' and '.join(map(str, studies))}: some have the same random numbers, some others; keep apart"
        )
    return "noise" if len({*seeds}) > 1 else "rounding"
