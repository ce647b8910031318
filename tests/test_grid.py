"""Which files of a results folder are a study's own, by its config alone."""

from __future__ import annotations

import pytest

from cloakbench.study.grid import PAPER, covers_paper
from cloakbench.study.leftover import left_over

MODEL = {"head": "gallery", "crop": "tight", "weights": "b.pt"}
CONFIG = {
    "dataset": {"loader": "synthetic", "subjects": 9},
    "matrix": {"source": ["a"], "attack": ["bim"], "eps": [2, 8], "storage": ["j.75"], "target": ["b"]},
    "top_k": [1],
    "models": {"a": {"head": "softmax", "crop": "loose", "weights": "trained"}, "b": MODEL, "c": MODEL},
    "compute": {"chunks": 1},
}


def of(stage: str, **keys: str) -> dict:
    """The settings in the seal of a file."""
    return {"stage": stage, "of": keys}


CELL = {"source": "a", "attack": "bim", "eps": "2", "storage": "j.75"}
CLEAN = CELL | {"attack": "clean", "eps": "0"}
OWN = [
    *(of("aggregate"), of("draw"), of("render"), of("examples"), of("curves", source="a", storage="j.75")),
    *(of("crop", crop="tight"), of("train", model="a"), of("convert", model="b"), of("gate", model="b")),
    *(of("enrol", model="b"), of("detect", share="1")),
    *(
        of("path", source="a", attack="bim", eps="4"),
        of("path", source="a", attack="bim", eps="8"),
        of("craft", source="a", attack="bim", eps="8"),
        of("store", **CELL),
        of("classify", **CLEAN, target="b"),
    ),
    of("detect", share="1"),
]
TAKEN_OUT = [
    *({}, of("compare"), of("convert", model="c"), of("enrol", model="a"), of("crop", crop="wide")),
    *(of("train", model="b"), of("convert", model="a"), of("detect", share="2")),
    *(
        of("craft", source="b", attack="bim", eps="2"),
        of("craft", source="a", attack="bim", eps="4"),
        of("path", source="a", attack="bim", eps="16"),
    ),
    *(of("store", **CELL | {"storage": "png"}), of("classify", **CELL, target="a"), of("store", **CELL, part="0")),
    *(of("store", **CELL | {"attack": "illc"}), of("curves", source="b", storage="j.75")),
    of("detect", share="2"),
]


@pytest.mark.parametrize("settings", OWN)
def test_what_the_config_makes_is_the_studys_own(settings):
    assert not left_over(CONFIG)("any/name", settings)


@pytest.mark.parametrize("settings", TAKEN_OUT)
def test_what_was_taken_out_is_left_over(settings):
    assert left_over(CONFIG)("any/name", settings)


def test_a_cell_lies_in_parts_or_in_one_file():
    over = left_over(CONFIG | {"compute": {"chunks": 2}})
    assert not over("stored/a/bim/eps2/j.75/part1", of("store", **CELL, part="1"))
    assert over("stored/a/bim/eps2/j.75/part2", of("store", **CELL, part="2"))
    assert over("stored/a/bim/eps2/j.75", of("store", **CELL)) and over("subjects/tight.npy", of("crop", crop="tight"))
    assert not over("enrolment/tight.npy", of("crop", crop="tight"))
    assert not over("ranks/a/bim/eps2/j.75/b.csv", of("classify", **CELL, target="b"))
    assert over("outputs/a/bim/eps2/j.75/b.npy", of("look", **CELL, target="b"))


def test_photos_are_rendered_for_synthetic_studies_only():
    assert left_over(CONFIG | {"dataset": {"loader": "folder", "subjects": 9}})("photos", of("render"))


def test_the_comparison_is_made_where_the_papers_grid_is_covered():
    models = {name: {"head": "softmax", "crop": "tight"} for name in PAPER["source"]}
    matrix = {key: PAPER[key] for key in ("source", "attack", "eps", "target")} | {"storage": ["png"]}
    config = CONFIG | {"matrix": matrix, "models": models, "top_k": [*PAPER["top_k"], 100]}
    assert covers_paper(config) and not left_over(config)("comparison.md", of("compare"))
    for less in (
        {"top_k": [1, 5, 10, 25]},
        {"matrix": matrix | {"eps": [4, 8]}},
        {"matrix": matrix | {"attack": ["bim"]}},
    ):
        assert not covers_paper(config | less) and left_over(config | less)("comparison.md", of("compare"))


def test_own_photographs_are_left_over_where_nobody_asks_for_them():
    files = {
        "own.csv": of("own"),
        "own/tight.npy": of("crop", crop="tight"),
        "own/b.safetensors": of("enrol", model="b"),
    }
    assert all(left_over(CONFIG)(name, settings) for name, settings in files.items())
    stages = (of("own"), of("crop_own", crop="tight"), of("enrol_own", model="b"))  # whose code provenance would tell
    assert all(left_over(CONFIG)("", settings) for settings in stages)
    asked = CONFIG | {"dataset": CONFIG["dataset"] | {"own": 2}}
    assert not any(left_over(asked)(name, settings) for name, settings in files.items())


def test_scores_are_of_targets_with_a_gallery():
    """What is crafted on alone is enrolled, but nothing is compared with it; a class head has no scores."""
    files = {"scores/b.csv": of("clean_scores", model="b"), "galleries/b.safetensors": of("enrol", model="b")}
    assert not any(left_over(CONFIG)(name, settings) for name, settings in files.items())
    source = left_over(CONFIG | {"matrix": CONFIG["matrix"] | {"source": ["a", "b"], "target": ["c", "a"]}})
    assert source("scores/b.csv", files["scores/b.csv"])
    assert not source("galleries/b.safetensors", files["galleries/b.safetensors"])
    assert source("scores/a.csv", of("clean_scores", model="a")) and not source(
        "scores/c.csv", of("clean_scores", model="c")
    )
