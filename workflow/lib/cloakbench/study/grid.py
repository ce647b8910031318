"""The grid that a config asks for: its cells, where their files lie, what its tables depend on, whether it holds the
paper's.

Standard library only, for the rule files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from cloakbench.study.keys import DEFAULTS, KEYS, STAGES

Cell = dict[str, Any]  # name of a key to its value; a key at its default is left out

PAPER = {
    "source": ["facenet", "resnet50", "senet50"],
    "attack": ["bim", "illc"],
    "eps": [4, 8, 16, 32, 64, 128],
    "target": ["facenet", "resnet50", "senet50"],
    "top_k": [1, 5, 10, 25, 50],
}
CLEAN = {"attack": "clean", "eps": 0}  # what is not attacked goes through the stages like any cell
MOST_SHARES = 16


def keys_of(stage: str, matrix: Mapping) -> list[str]:
    """The keys of a matrix, or of a cell, by which the files of a stage differ, in order."""
    return [key.name for key in KEYS if key.name in matrix and STAGES.index(key.stage) <= STAGES.index(stage)]


def budgets(matrix: Mapping) -> list[int]:
    """Smallest first: a larger budget's path goes on where the smaller one's ends."""
    return sorted(matrix["eps"])


def link(eps: int) -> int:
    """The budget from whose state an attack that shares its path walks on to budget eps; 0: from the clean faces.

    The largest power of two below it, as the paper's budgets are, or 0 where the whole way is short. It follows from
    eps alone: a budget that is added to a study changes no other's way.

    >>> [link(eps) for eps in (4, 5, 8, 9, 16, 128)]
    [0, 0, 4, 8, 8, 64]
    """
    return 2 ** ((eps - 1).bit_length() - 1) if eps >= 8 else 0


def links(budgets: Iterable[int]) -> list[tuple[int, int]]:
    """All stretches of the path that leads to these budgets, each once, as the two budgets at its ends.

    >>> links([4, 9])
    [(0, 4), (4, 8), (8, 9)]
    """
    found, waiting = set(), list(budgets)
    while waiting:
        eps = waiting.pop()
        if eps and eps not in found:
            found.add(eps)
            waiting.append(link(eps))
    return [(link(eps), eps) for eps in sorted(found)]


def cells(matrix: Mapping, stage: str = "classify") -> Iterator[Cell]:
    """Every cell as far as a stage tells them apart: the clean ones first, then the grid in the matrix' order.

    >>> matrix = {"source": ["facenet"], "attack": ["bim"], "eps": [8, 4], "storage": ["png"], "target": ["senet50"]}
    >>> [(cell["attack"], cell["eps"]) for cell in cells(matrix)]
    [('clean', 0), ('bim', 4), ('bim', 8)]
    """
    values = {key: matrix[key] for key in keys_of(stage, matrix)} | {"eps": budgets(matrix)}
    clean = {key: [CLEAN[key]] if key in CLEAN else values[key] for key in values}
    for grid in (clean, values):
        for cell in product(*grid.values()):
            yield {key: value for key, value in zip(grid, cell, strict=True) if DEFAULTS.get(key) != value}


def pattern(stage: str, matrix: Mapping) -> str:
    """Where a stage's file of a cell lies below the stage's folder, without its suffix; each key is a wildcard.

    The wildcard of a key with a default is a folder's name with its slash, or empty.
    """
    names = keys_of(stage, matrix)
    more = "".join(f"{{{key}}}" for key in names if key in DEFAULTS)
    parts = [{"eps": "eps{eps}", "storage": f"{more}{{storage}}"}.get(key, f"{{{key}}}") for key in names]
    return "/".join(part for part, key in zip(parts, names, strict=True) if key not in DEFAULTS)


def place(cell: Mapping, stage: str = "classify") -> str:
    """The pattern with a cell's values.

    >>> place({"source": "facenet", "attack": "bim", "eps": 8, "storage": "jpeg75", "target": "resnet50"})
    'facenet/bim/eps8/jpeg75/resnet50'
    >>> place({"source": "facenet", "attack": "bim", "eps": 8}, "craft")
    'facenet/bim/eps8'
    """
    return pattern(stage, cell).format(**as_wildcards(cell))


def as_wildcards(cell: Mapping, matrix: Mapping = {}) -> dict[str, str]:
    """A cell as the wildcards of `pattern`. matrix: the study's, whose keys the cell may have at their default."""
    empty = {key: "" for key in DEFAULTS if key in matrix}
    return empty | {key: f"{key}={value}/" if key in DEFAULTS else str(value) for key, value in cell.items()}


def cell_of(wildcards: Mapping[str, str]) -> dict[str, str]:
    """The cell, or what else a job is told by wildcards, as text."""
    told = {key: setting(key, value) for key, value in wildcards.items() if key in DEFAULTS}
    return {key: value for key, value in (dict(wildcards) | told).items() if value or key not in told}


def setting(key: str, value: str) -> str:
    """What a cell holds, of what the wildcard of a key does.

    >>> setting("role", "role=enrolled/"), setting("source", "facenet")
    ('enrolled', 'facenet')
    """
    return value.removeprefix(f"{key}=").rstrip("/")


def values_of(key: str, matrix: Mapping) -> list[str]:
    """All that the wildcard of a key may hold."""
    if key in DEFAULTS:
        return ["", *(f"{key}={value}/" for value in matrix[key] if value != DEFAULTS[key])]
    return [*map(str, matrix[key]), *([str(CLEAN[key])] if key in CLEAN else [])]


def shares(subjects: int) -> int:
    """How many jobs look for the faces of a study: one for every 8 subjects, for whom there are at least as many
    photographs. It follows from the config alone, so that another folder among the photographs repeats nothing.

    >>> shares(7), shares(8), shares(62), shares(10_000)
    (1, 2, 8, 16)
    """
    return min(MOST_SHARES, 1 + subjects // 8)


def covers_paper(config: Mapping) -> bool:
    """Whether a study has all of the paper's sources, attacks, budgets, targets and k."""
    asked = {**config["matrix"], "top_k": config["top_k"]}
    return all(set(values) <= set(asked[key]) for key, values in PAPER.items())


def reference(config: Mapping) -> str:
    """The attack that the others are compared with: the config's, or bim, or the first.

    >>> reference({"matrix": {"attack": ["mi", "bim"]}})
    'bim'
    """
    attacks = config["matrix"]["attack"]
    return config.get("statistics", {}).get("reference") or ("bim" if "bim" in attacks else attacks[0])


def of_tables(config: Mapping) -> dict[str, Any]:
    """The parts of a config that the tables made of ranks depend on."""
    return {
        "matrix": config["matrix"],
        "top_k": sorted(config["top_k"]),
        "detection": {"missed": config["detection"]["missed"]},
        "attacks": {name: config["attacks"][name] for name in config["matrix"]["attack"]},
        "statistics": {"reference": reference(config)},
    }


def of_quality(config: Mapping) -> dict[str, Any]:
    """The parts of a config that the table of pictures' quality depends on."""
    stored = {key: config["matrix"][key] for key in keys_of("store", config["matrix"])}
    more = {"measures": ["lpips"]} if "lpips" in config["measures"] else {}
    return {"matrix": stored, "compute": {"chunks": config["compute"]["chunks"]}} | more


def of_faces(config: Mapping) -> dict[str, Any]:
    """The parts of a config that the table of all faces depends on."""
    return {
        "matrix": config["matrix"],
        "measures": [name for name in ("quality", "lpips") if name in config["measures"]],
        "compute": {"chunks": config["compute"]["chunks"]},
    }


def of_ladder(config: Mapping) -> dict[str, Any]:
    """The parts of a config that the table of steps depends on."""
    ensembles = config.get("ensembles", {})
    return {
        "matrix": config["matrix"],
        "top_k": [min(config["top_k"])],
        "detection": {"missed": config["detection"]["missed"]},
        "ensembles": {name: ensembles[name] for name in config["matrix"]["source"] if name in ensembles},
        "attacks": {name: config["attacks"][name] for name in config["matrix"]["attack"]},
    }


def of_groups(config: Mapping) -> dict[str, Any]:
    """The parts of a config that the table of groups depends on."""
    return {
        "matrix": config["matrix"],
        "top_k": [min(config["top_k"])],
        "detection": {"missed": config["detection"]["missed"]},
        "dataset": {"attributes": "attributes" in config["dataset"]},
    }
