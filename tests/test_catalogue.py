"""The attacks that ship, by name: any study may name them, and each is what its name says."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import yaml

from cloakbench.attacks import entries, families
from cloakbench.attacks.goals import GOALS
from cloakbench.attacks.norms import NORMS
from cloakbench.errors import InputError
from conftest import ROOT, complete
from test_families import crafted, member

CATALOGUE = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())
GALLERY = {"head": "gallery", "weights": str(ROOT / "config.yaml")}  # any file that is there
PUBLISHED = {"mi_paper", "ni_paper", "ti_paper", "si_ni_paper", "mi_di_ti_paper"}


def study(**changes) -> dict:
    """The default study with its recognisers made ones with galleries."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["dataset"]["own"] = 2
    for model in config["models"].values():
        model.update(GALLERY)
    for key, value in changes.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return config


@pytest.mark.parametrize("name", CATALOGUE)
def test_any_study_may_name_it(name):
    entry = complete(study(matrix={**study()["matrix"], "attack": [name]}))["attacks"]
    assert [*entry] == [name] and {**entry[name], "goal": ""} == {**CATALOGUE[name], "goal": ""}


@pytest.mark.parametrize("name", CATALOGUE)
def test_it_crafts_within_its_budget(recogniser, faces, rng, tmp_path, name):
    """Whole grey levels, some of them others than before, the same ones on every run."""
    entry, labels = {"goal": "untargeted", **CATALOGUE[name]}, rng.integers(0, 10, len(faces))
    first, second = (crafted(tmp_path, entry, [member(entry, recogniser, labels)], faces, 4) for _ in range(2))
    moved = torch.from_numpy(first.astype(np.float32) - faces)
    assert first.dtype == np.uint8 and (first != faces).any() and (NORMS[families.norm(entry)].size(moved) <= 4).all()
    np.testing.assert_array_equal(first, second)


def test_attacks_that_a_study_does_not_name_are_no_part_of_it():
    """Another line in the catalogue repeats nothing, and provenance names what was used."""
    assert {*complete(study())["attacks"]} == {"bim", "illc"}


def test_an_entry_is_laid_over_the_one_that_ships():
    config = complete(study(attacks={"mi": {"momentum": 0.5}}, matrix={**study()["matrix"], "attack": ["mi", "bim"]}))
    assert config["attacks"]["mi"] == {"family": "walk", "goal": "untargeted", "momentum": 0.5}
    other = {"family": "iterative_sign", "goal": "untargeted"}
    config = complete(study(attacks={"mi": other}, matrix={**study()["matrix"], "attack": ["mi"]}))
    assert config["attacks"]["mi"] == {**other, "step_size": 1}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_papers_steps(name):
    """Ten of a tenth of the budget; all else is as in the entry of our own steps, but for TI's kernel."""
    twin = {**CATALOGUE[name.removesuffix("_paper")], "step_fraction": 0.1, "steps": 10}
    assert {**CATALOGUE[name], "kernel": 0} == {**twin, "kernel": 0}
    assert families.attack(**{"goal": "untargeted", **CATALOGUE[name]}).gradients(16) % 10 == 0


def test_what_each_knows():
    knows = {name: entries.knows({"goal": "untargeted", **entry}) for name, entry in CATALOGUE.items()}
    assert knows.pop("away_own_photos") == "own photos" and knows.pop("away_clean") == "nothing"
    assert {*knows.values()} == {"gallery"}
    assert entries.knows({"family": "drifting"}) == ""


def test_tables_say_what_an_attack_costs():
    found = entries.facts({"bim": {"family": "walk", "goal": "margin"}}, [4, 128])
    assert found == {"bim": {"knows": "gallery", "gradients": {4: 5, 128: 132}}}


def test_own_photos_have_to_be_there():
    config = study(matrix={**study()["matrix"], "attack": ["away_own_photos"]})
    del config["dataset"]["own"]
    with pytest.raises(InputError, match=r"attacks\.away_own_photos\.goal: .*needs photographs.*set dataset\.own"):
        complete(config)


def test_the_page_names_every_entry():
    """And no other: docs/attacks.md has a row for each."""
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/attacks.md").read_text(), re.MULTILINE)
    assert set(rows) == set(CATALOGUE) and len(GOALS) == 9
