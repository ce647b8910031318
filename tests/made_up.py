"""Finished studies that no attack was run for: ranks are drawn, tables made of them as ever, pictures are noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from cloakbench.files.seals import sha256
from cloakbench.files.writing import write_text, writing, writing_faces
from cloakbench.measures.cells import FACE, columns
from cloakbench.paper.claims import CLAIMS, evaluate
from cloakbench.photos.sample import Photo, subjects_frame, write_photos
from cloakbench.publishing.store import encode
from cloakbench.statistics.front import budgets_needed, front
from cloakbench.statistics.groups import COLUMNS as GROUPED
from cloakbench.statistics.groups import by_group, categories, tertiles
from cloakbench.statistics.ladder import Rung, climb
from cloakbench.statistics.paired import comparisons
from cloakbench.statistics.psr import protection
from cloakbench.statistics.searchers import named_by_any, unstored
from cloakbench.study.grid import CLEAN, cells, covers_paper, keys_of, place, reference

PAPER = ("facenet", "resnet50", "senet50")
STORAGE = {"format": "jpeg", "quality": 75, "subsampling": "4:2:0"}
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{7*7}}",
    "<!--",
    "javascript:alert(1)",
    "\u202eevil",
    "two\nlines",
    "n" * 300,
    "\U0001f600 smile",
    "=1+1",
    "NA",
    "007",
]


def make(
    folder: Path,
    people: int = 12,
    sources: Sequence[str] = PAPER,
    targets: Sequence[str] = PAPER,
    attacks: Sequence[str] = ("bim", "illc"),
    budgets: Sequence[int] = (4, 8, 16, 32, 64, 128),
    storages: Sequence[str] = ("jpeg75",),
    top_k: Sequence[int] = (1, 5, 10, 25, 50),
    names: Sequence[str] = (),
    side: int = 0,
    seed: int = 7,
    shares: dict[str, float] | None = None,
    loader: str = "synthetic",
    faces: int | str | None = None,
    measures: Sequence[str] = ("ladder", "properties"),
) -> Path:
    """The results folder. names: of the first people; side: of their pictures in pixels, 0 for none; shares: by source,
    target or attack, what the share of hidden faces is multiplied with, `clean` of the clean ones; faces: the config's;
    measures: beside quality.
    """
    rng, study = np.random.default_rng(seed), folder / "results/made"
    matrix = {"source": [*sources], "attack": [*attacks], "eps": [*budgets]}
    matrix |= {"storage": [*storages], "target": [*targets]}
    config: dict[str, Any] = {
        "study": "made",
        "seed": seed,
        "matrix": matrix,
        "top_k": [*top_k],
        "dataset": {"loader": loader, "subjects": people, "photos": 1},
        "attacks": {name: {"family": "iterative_sign", "step_size": 1} for name in attacks},
        "models": {name: {"crop": "canvas", "head": "softmax"} for name in {*sources, *targets}},
        "storages": dict.fromkeys(storages, STORAGE),
        "detection": {"missed": "protected"},
        "compute": {"chunks": 1},
        "measures": ["quality", *measures],
    } | ({"report": {"faces": faces}} if faces is not None else {})
    ranks = _ranks(config, people, rng, shares or {})
    tables = _tables(config, ranks, people, rng)
    for name, table in tables.items():
        write_text(study / name, table.to_csv(index=False))
    _subjects(study / "subjects.csv", people, names)
    if side:
        _pictures(study, config, people, side, rng)
    facts = {
        "format": 2,
        "commit": "0123abc",
        "config": config,
        "about": {"study": "made", "loader": loader, "root": None, "subjects": people, "photos": 1, "seed": seed}
        | {"missed": "protected", "precision": "fp32"}
        | {
            "models": {
                name: {"arch": "small", "head": "softmax", "weights": "trained"} for name in {*sources, *targets}
            }
        },
        "files": {name: sha256(study / name) for name in [*tables, "subjects.csv"]},
        "devices": {"cpu, x86_64, AVX2": 3},
        "computed_with": {"torch": {"2": 3}},
        "mixed": [],
    }
    write_text(study / "provenance.json", json.dumps(facts, sort_keys=True))
    return study


def _ranks(config: dict, people: int, rng: np.random.Generator, shares: dict[str, float]) -> pd.DataFrame:
    """The same face is hidden at a larger budget more often, from its own recogniser most often."""
    ease, classes, frames = rng.random(people), max(people, 64), []
    for cell in cells(config["matrix"]):
        white = cell["source"] == cell["target"]
        share = 0.02 * shares.get("clean", 1) if cell["attack"] == CLEAN["attack"] else min(1, cell["eps"] / 16)
        if cell["attack"] != CLEAN["attack"]:
            share *= (1.5 if white else 0.4) * np.prod([shares.get(cell[key], 1) for key in ("attack", "target")])
        hidden = ease + rng.normal(0, 0.1, people) < share
        rank = np.where(hidden, rng.integers(1, classes - 1, people), 0)
        found = rng.random(people) > 0.01
        frame = pd.DataFrame({"subject": range(people), "photo": 0, **cell, "detected": found.astype(int)})
        frame["rank"] = pd.array(rank, dtype="Int64")
        frame["label"], frame["predicted"] = (
            range(people),
            pd.array(np.where(rank == 0, range(people), 3), dtype="Int64"),
        )
        frame.loc[~found, ["rank", "predicted"]] = pd.NA
        frames.append(frame.assign(outside=0.0, classes=classes, own_score=np.nan, other_score=np.nan, other=pd.NA))
    return pd.concat(frames, ignore_index=True)


def _tables(config: dict, ranks: pd.DataFrame, people: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    matrix = config["matrix"]
    baseline = {name: pd.Series(np.zeros(people, int)) for name in matrix["target"]}
    tables = {
        "psr.csv": protection(ranks, config["top_k"], baseline=baseline),
        "strongest.csv": protection(named_by_any(ranks), config["top_k"], baseline=unstored(baseline)),
        "comparisons.csv": comparisons(ranks, reference(config)),
    }
    rows = []
    for cell in cells(matrix, "store"):
        for measure, clean, fall in (("ssim", 1.0, 0.15), ("psnr", np.inf, 0.0)):
            cost = fall * np.log2(1 + cell["eps"]) * rng.uniform(0.9, 1.1)
            value = clean - cost if measure == "ssim" else 60 - 5 * np.log2(1 + cell["eps"])
            value = clean if cell["attack"] == CLEAN["attack"] else max(0.0, value)
            rows.append(cell | {"measure": measure, "faces": people, "p5": value, "median": value, "p95": value})
    tables["quality.csv"] = pd.DataFrame(rows)
    tables["front.csv"] = front(tables["psr.csv"], tables["quality.csv"], min(config["top_k"]))
    with patch("cloakbench.statistics.front.DRAWS", 100):  # intervals are not what is looked at
        tables["needed.csv"] = budgets_needed(ranks, tables["quality.csv"], min(config["top_k"]))
    if "ladder" in config["measures"]:
        tables["ladder.csv"] = _ladder(config, ranks)
    if "properties" in config["measures"]:
        tables["groups.csv"] = _groups(config, ranks, rng)
    tables["faces.csv"] = ranks[columns(keys_of("classify", matrix))]
    if covers_paper(config):
        tables["claims.csv"] = evaluate(CLAIMS, tables["psr.csv"])
    return tables


def _ladder(config: dict, ranks: pd.DataFrame) -> pd.DataFrame:
    """All steps of the source's own recogniser alike, and then the other targets."""
    matrix, frames = config["matrix"], []
    by_cell = dict(iter(ranks.groupby(["source", "attack", "eps", "storage", "target"], sort=False)))
    for cell in cells({**matrix, "target": matrix["target"][:1]}):
        place_of = [cell[key] for key in ("source", "attack", "eps", "storage")]
        seen = {name: by_cell[(*place_of, name)] for name in matrix["target"]}
        plain = {name: by_cell[cell["source"], "clean", 0, cell["storage"], name] for name in matrix["target"]}
        judge = cell["source"] if cell["source"] in seen else matrix["target"][0]
        steps = ["clean", *(["crafted"] if cell["attack"] != CLEAN["attack"] else []), "stored", "found"]
        own = [Rung(name, judge, plain[judge] if name == "clean" else seen[judge], plain[judge]) for name in steps]
        others = [Rung("other", name, seen[name], plain[name]) for name in seen if name != judge]
        told = dict(zip(("source", "attack", "eps", "storage"), place_of, strict=True))
        frames.append(climb(own, others, min(config["top_k"])).assign(member=judge, **told))
    return pd.concat(frames, ignore_index=True)


def _groups(config: dict, ranks: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """By two properties, of which one is not known of all, and by an attribute of hostile values."""
    keys, k = ["source", "attack", "eps", "storage", "target"], min(config["top_k"])
    faces = pd.MultiIndex.from_frame(ranks[FACE].drop_duplicates())
    values = pd.Series(rng.uniform(60, 300, len(faces)), faces)
    of = [*tertiles("height", values), *tertiles("yaw", values.where(values < 250))]
    of += categories("hair", pd.Series(rng.choice(HOSTILE[:2], len(faces)), faces))
    tables = []
    for cell, seen in ranks.groupby(keys, sort=False):
        place_of = dict(zip(keys, cell, strict=True))
        alike = (ranks[[*keys]] == list((place_of | CLEAN).values())).all(axis=1)
        clean = None if place_of["attack"] == CLEAN["attack"] else ranks[alike]
        tables.append(by_group(seen, clean, of, k).assign(**place_of))
    return pd.concat(tables, ignore_index=True).reindex(columns=[*keys, *GROUPED])


def _subjects(path: Path, people: int, names: Sequence[str]) -> None:
    called = [*names, *(f"person {number}" for number in range(len(names), people))][:people]
    rows = [
        {"subject": number, "photo": 0, **Photo(name, f"{number}.jpg", "0" * 64).row()}
        for number, name in enumerate(called)
    ]
    write_photos(path, subjects_frame(rows))


def _pictures(study: Path, config: dict, people: int, side: int, rng: np.random.Generator) -> None:
    """A smooth face each, the same for all sources, and on it noise of the budget's size."""
    ramp = np.linspace(0, 1, side)
    faces = np.stack([_face(ramp, rng) for _ in range(people)])
    with writing_faces(study / "subjects/canvas.npy", people, (side, side)) as array:
        array[:] = faces
    for cell in cells(config["matrix"], "craft"):
        shown = faces
        if cell["attack"] != CLEAN["attack"]:
            noise = rng.integers(-cell["eps"], cell["eps"] + 1, faces.shape, dtype=np.int16)
            shown = np.clip(faces + noise, 0, 255).astype(np.uint8)
            with writing_faces(study / "crafted" / f"{place(cell, 'craft')}.npy", people, (side, side)) as array:
                array[:] = shown
        for storage in config["matrix"]["storage"]:
            name = place(cell | {"storage": storage}, "store")
            rows = []
            with writing(study / "stored" / name) as stored:
                stored.mkdir(parents=True)
                for number, face in enumerate(shown):
                    (stored / f"{number:05d}_00.jpg").write_bytes(encode(face, STORAGE))
                    rows.append({"subject": number, "photo": 0, "file": f"{number:05d}_00.jpg", "sha256": ""})
            write_text(study / "manifests" / f"{name}.csv", pd.DataFrame(rows).to_csv(index=False))


def _face(ramp: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = rng.uniform(1, 6, 3)
    waves = [np.sin(turn[c] * ramp[:, None]) + np.cos(turn[c] * ramp[None, :]) for c in range(3)]
    return (np.clip(np.stack(waves, axis=2) * 0.25 + 0.5, 0, 1) * 255).astype(np.uint8)
