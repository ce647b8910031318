"""What attacks cost, and in which numbers they compute."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from cloakbench.attacks import cost, craft
from cloakbench.attacks.walk import iterations
from cloakbench.jobs import devices
from cloakbench.recognisers.recogniser import Recogniser, to_tensor
from cloakbench.recognisers.views import whole
from cloakbench.study.grid import link, links
from conftest import ROOT
from test_families import CPU, Counted, crafted

BUDGETS = [4, 8, 16, 32, 64, 128]
ATTACKS = {
    "bim": {"family": "iterative_sign", "goal": "untargeted", "step_size": 1},
    "illc": {"family": "iterative_sign", "goal": "least_likely", "step_size": 1},
}
CATALOGUE = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())
SHARING = {name: {"goal": "untargeted", **CATALOGUE[name]} for name in ("mi", "si_ni", "eot_jpeg")}
BIM = ATTACKS["bim"]


@pytest.fixture
def labels(rng, faces):
    return rng.integers(0, 10, len(faces))


def test_gradients_are_what_was_computed_not_what_was_asked_for(recogniser, monkeypatch):
    """A CPU and an older card have no tf32; a network with its own graph is in fp32 where bf16 is asked for."""
    devices.use("cpu", 1, "tf32")
    coarse = Recogniser(torch.nn.Flatten(), [0.0], [1.0], torch.bfloat16)
    assert cost.gradients_in([recogniser]) == "fp32" and cost.gradients_in([coarse]) == "bf16"
    assert cost.gradients_in([recogniser, coarse, recogniser]) == "bf16 and fp32"  # an ensemble
    on_a_card = SimpleNamespace(dtype=torch.float32, mean=SimpleNamespace(device=torch.device("cuda", 0)))
    for capability, expected in (((7, 5), "fp32"), ((8, 0), "tf32"), ((9, 0), "tf32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert cost.gradients_in([on_a_card]) == expected
    devices.use("cpu", 1)
    assert cost.gradients_in([on_a_card]) == "fp32"


def test_iterations_of_the_paper():
    assert [iterations(eps) for eps in BUDGETS] == [5, 10, 20, 36, 68, 132]
    assert [iterations(eps) for eps in (1, 2, 3, 5)] == [1, 2, 3, 6]


@pytest.mark.parametrize("entry", [*ATTACKS.values(), BIM | {"step_size": 3}, *SHARING.values()], ids=str)
@pytest.mark.parametrize("budgets", [BUDGETS, [8], [3, 7, 128], [31, 32, 33]], ids=str)
def test_the_cost_is_known_beforehand(recogniser, faces, labels, tmp_path, entry, budgets):
    """Of all budgets together: each stretch of the path is walked once, and each budget's own end."""
    counted = Counted(recogniser)
    members = [craft.Member(counted, labels, whole)]
    cell = craft.Cell(members, faces, np.arange(len(faces)), 0, 0, 4, CPU)
    for previous, eps in links(budgets):
        start = tmp_path / f"{previous}.npy" if previous else None
        craft.walk(entry, cell._replace(eps=eps), start, previous, tmp_path / f"{eps}.npy")
    for eps in budgets:
        craft.craft(entry, cell._replace(eps=eps), tmp_path / f"{eps}.npy", tmp_path / "crafted.npy")
    assert cost.gradients(entry, budgets, links(budgets)) * len(faces) == counted.gradients
    if budgets == BUDGETS and entry.get("step_size", 1) == 1:
        assert counted.gradients == 147 * entry.get("copies", 1) * len(faces)  # 271 when every budget starts anew


def test_no_budget_of_a_study_is_on_the_way_of_another():
    """So that adding one repeats none; the stretches are as few as the paper's budgets want them."""
    assert links(BUDGETS) == [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128)]
    for eps in range(1, 256):
        assert {(previous, end) for previous, end in links([eps])} <= {*links([eps, *range(1, 256)])}
        assert link(eps) < eps and (link(eps) == 0 or link(eps) in BUDGETS)


def test_lower_precision_crafts_nearly_the_same(recogniser, faces, labels, tmp_path):
    """The network computes in bf16, everything around it in float32: whole grey levels within the budget."""
    coarse = Recogniser(copy.deepcopy(recogniser.network), [127.5] * 3, [128.0] * 3, torch.bfloat16)
    assert recogniser(to_tensor(faces)).dtype == coarse(to_tensor(faces)).dtype == torch.float32
    torch.testing.assert_close(coarse(to_tensor(faces)), recogniser(to_tensor(faces)), rtol=0.05, atol=0.2)
    fine, rough = (
        crafted(tmp_path, BIM, [craft.Member(model, labels, whole)], faces, 8) for model in (recogniser, coarse)
    )
    moved = np.abs(rough.astype(int) - faces.astype(int))
    assert 0 < moved.max() <= 8 and 0.8 < (fine == rough).mean() < 1


@pytest.mark.parametrize(
    "seconds, said",
    [(43.8, "; bf16 takes 13.3 times as long as fp32 on this cpu: set compute.precision: fp32"), (1.6, "")],
)
def test_the_estimate_says_that_bf16_is_slower(recogniser, faces, monkeypatch, seconds, said):
    coarse = Recogniser(copy.deepcopy(recogniser.network), [127.5] * 3, [128.0] * 3, torch.bfloat16)
    taken = {torch.float32: 3.3, torch.bfloat16: seconds}
    monkeypatch.setattr(cost, "seconds_a_gradient", lambda network, *_: taken[network.dtype])
    crafting = cost.Crafting([BIM], [4], links([4]), faces=6, parts=3)
    told = cost.of_crafting(crafting, coarse, faces, CPU, recogniser)
    assert told.partition("of faces")[2] == said and told.startswith("30 gradients in 6 jobs, about ")
    assert "fp32" not in cost.of_crafting(crafting, recogniser, faces, CPU, recogniser)


def test_what_lies_on_disk_is_told():
    """Six cells and a path of six states: pictures, and with momentum four times as much of floats beside each."""
    for name, expected in (("illc", 12), ("mi", 6 + 6 * 5), ("mi_paper", 6)):
        crafting = cost.Crafting([{"goal": "untargeted", **CATALOGUE[name]}], BUDGETS, links(BUDGETS), 10, 1)
        assert crafting.bytes(100) == 10 * 100 * expected


def test_what_a_target_will_be_shown_is_told(recogniser, faces):
    told = cost.of_looking(recogniser, 39, 1000, 2, faces[:1], CPU)
    assert told == f"39,000 pictures in 78 jobs, {39_000 * (4 * 10 + 8) / 1e6:.1f} MB of outputs"


def test_a_gradient_is_timed_without_what_only_adds_to_it(recogniser, faces, monkeypatch):
    """A job beside this one slows one of them down; a slow one is timed once."""
    for clock, seconds in [([0, 0.5, 1, 1.25, 2, 2.5], 0.25), ([0, 21], 21)]:
        ticks = iter(clock)
        monkeypatch.setattr(cost.time, "perf_counter", lambda ticks=ticks: next(ticks))
        assert cost.seconds_a_gradient(recogniser, faces, CPU) == seconds / len(faces)
