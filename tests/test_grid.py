"""Which files of a results folder are a study's own, by its config alone."""

from __future__ import annotations

import pytest

from cloakbench.grid import PAPER, covers_paper, left_over

MODEL = {"head": "gallery", "crop": "tight"}
CONFIG = {
    "dataset": {"loader": "synthetic"},
    "matrix": {"source": ["a"], "attack": ["bim"], "eps": [2, 8], "storage": ["j.75"], "target": ["b"]},
    "top_k": [1],
    "models": {"a": {"head": "softmax", "crop": "loose"}, "b": MODEL, "c": MODEL},
    "compute": {"chunks": 1},
}
OWN = [
    *("psr.csv", "subjects.csv", "enrolment.csv", "provenance.json", "photos", "something/new.csv"),
    *("subjects/loose.npy", "subjects/tight.npy", "enrolment/tight.npy", "weights/a.safetensors", "gate/b.json"),
    *("galleries/b.safetensors", "path/a/bim/eps8.npy", "crafted/a/bim/eps2.npy", "stored/a/bim/eps2/j.75"),
    *("manifests/a/clean/eps0/j.75.csv", "redetected/a/bim/eps8/j.75.csv", "ranks/a/clean/eps0/j.75/b.csv"),
    *("figures/examples.png", "figures/psr/a/j.75.png", "figures/psr/a/j.75.pdf"),
]
TAKEN_OUT = [
    *("comparison.csv", "comparison.md", "claims.csv", "galleries/a.safetensors", "weights/c.safetensors"),
    *("crafted/b/bim/eps2.npy", "crafted/a/illc/eps2.npy", "path/a/bim/eps4.npy", "stored/a/bim/eps2/png"),
    *("crafted/a/bim/eps0.npy", "stored/a/clean/eps2/j.75", "ranks/a/bim/eps2/j.75/a.csv", "gate/c.json"),
    *("subjects/wide.npy", "figures/psr_a_j.75.png", "figures/psr/b/j.75.png", "figures/psr/a/png.png"),
    *("crafted/a/bim/eps2/part0.npy", "parts/a/bim/eps2/j.75/b/part9.csv"),
]


@pytest.mark.parametrize("name", OWN)
def test_what_the_config_makes_is_the_studys_own(name):
    assert not left_over(CONFIG)(name)


@pytest.mark.parametrize("name", TAKEN_OUT)
def test_what_was_taken_out_is_left_over(name):
    assert left_over(CONFIG)(name)


def test_a_cell_lies_in_parts_or_in_one_file():
    over = left_over(CONFIG | {"compute": {"chunks": 2}})
    assert not over("crafted/a/bim/eps2/part1.npy") and not over("stored/a/bim/eps2/j.75/part0")
    assert not over("parts/a/bim/eps2/j.75/b/part1.csv") and not over("ranks/a/bim/eps2/j.75/b.csv")
    assert over("crafted/a/bim/eps2.npy") and over("crafted/a/bim/eps2/part2.npy") and over("stored/a/bim/eps2/j.75")


def test_photos_are_rendered_for_synthetic_studies_only():
    assert left_over(CONFIG | {"dataset": {"loader": "folder"}})("photos")


def test_the_comparison_is_made_where_the_papers_grid_is_covered():
    models = {name: {"head": "softmax", "crop": "tight"} for name in PAPER["source"]}
    matrix = {key: PAPER[key] for key in ("source", "attack", "eps", "target")} | {"storage": ["png"]}
    config = CONFIG | {"matrix": matrix, "models": models, "top_k": [*PAPER["top_k"], 100]}
    assert covers_paper(config) and not left_over(config)("comparison.md")
    for less in (
        {"top_k": [1, 5, 10, 25]},
        {"matrix": matrix | {"eps": [4, 8]}},
        {"matrix": matrix | {"attack": ["bim"]}},
    ):
        assert not covers_paper(config | less) and left_over(config | less)("comparison.md")
