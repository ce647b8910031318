"""BIM and ILLC against the equations written out slowly, and against other people's implementations."""

from __future__ import annotations

import copy
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from cloakbench.attacks import craft, iterative
from cloakbench.jobs import devices
from cloakbench.recognisers.recogniser import Recogniser, to_faces, to_tensor
from conftest import ROOT

BUDGETS = [4, 8, 16, 32, 64, 128]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
ATTACKS = CONFIG["attacks"] | {
    f"{goal}-{step}": {"family": "iterative_sign", "goal": goal, "step_size": step}
    for goal, step in itertools.product(iterative.GOALS, [1, 2, 3])
}


def test_gradients_are_what_was_computed_not_what_was_asked_for(recogniser, monkeypatch):
    """A CPU and an older card have no tf32; a network with its own graph is in fp32 where bf16 is asked for."""
    devices.use("cpu", 1, "tf32")
    assert craft.gradients_in(recogniser) == "fp32"
    assert craft.gradients_in(Recogniser(torch.nn.Flatten(), [0.0], [1.0], torch.bfloat16)) == "bf16"
    on_a_card = SimpleNamespace(dtype=torch.float32, mean=SimpleNamespace(device=torch.device("cuda", 0)))
    for capability, expected in (((7, 5), "fp32"), ((8, 0), "tf32"), ((9, 0), "tf32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert craft.gradients_in(on_a_card) == expected
    devices.use("cpu", 1)
    assert craft.gradients_in(on_a_card) == "fp32"


def slow_reference(model, faces, labels, eps, goal, alpha):
    """Equations 3 and 4 of the paper, with autograd's .backward() and nothing shared between budgets."""
    clean = torch.tensor(faces.transpose(0, 3, 1, 2).astype(np.float32))
    y = torch.tensor(labels) if goal == "untargeted" else model(clean).argmin(dim=1)
    x = clean.clone()
    for _ in range(int(min(eps + 4, 1.25 * eps))):
        x = x.detach().clone().requires_grad_(True)
        F.cross_entropy(model(x), y, reduction="sum").backward()
        ahead = x + alpha * x.grad.sign() if goal == "untargeted" else x - alpha * x.grad.sign()
        x = torch.minimum(torch.maximum(ahead, clean - eps), clean + eps)
        x = torch.minimum(torch.maximum(x, torch.tensor(0.0)), torch.tensor(255.0))
    return x.detach().round().byte().numpy().transpose(0, 2, 3, 1)


def craft_through_path(model, faces, labels, entry, budgets, batch=4):
    """What the workflow does: walk the shared path from budget to budget, leave it for each budget's own steps."""
    attack, device, state, previous, cells = iterative.attack(**entry), torch.device("cpu"), faces, 0, {}
    for eps in budgets:
        path, cell = np.empty_like(faces), np.empty_like(faces)
        shared, own = craft.shared_steps(attack, eps, previous), craft.own_steps(attack, eps)
        craft.walk(model, attack, faces, state, labels, eps, shared, path, batch, device)
        craft.walk(model, attack, faces, path, labels, eps, own, cell, batch, device)
        state, previous, cells[eps] = path, eps, cell
    return cells


@pytest.fixture
def labels(rng, faces):
    return rng.integers(0, 10, len(faces))


@pytest.mark.parametrize("name", ATTACKS)
def test_every_budget_equals_the_slow_reference_exactly(recogniser, faces, labels, name):
    entry = ATTACKS[name]
    cells = craft_through_path(recogniser, faces, labels, entry, BUDGETS)
    for eps in BUDGETS:
        halves = [
            slow_reference(recogniser, faces[part], labels[part], eps, entry["goal"], entry["step_size"])
            for part in (slice(0, 4), slice(4, 6))
        ]
        np.testing.assert_array_equal(cells[eps], np.concatenate(halves))


@pytest.mark.parametrize("name", ATTACKS)
def test_crafted_faces_stay_within_the_budget(recogniser, faces, labels, name):
    faces[0] = 0
    faces[1] = 255
    for eps, cell in craft_through_path(recogniser, faces, labels, ATTACKS[name], BUDGETS).items():
        moved = np.abs(cell.astype(int) - faces.astype(int))
        assert cell.dtype == np.uint8
        assert 0 < moved.max() <= eps


@pytest.mark.parametrize("name", ATTACKS)
def test_iterates_are_whole_grey_levels(recogniser, faces, labels, name):
    attack, clean = iterative.attack(**ATTACKS[name]), to_tensor(faces)
    aims = attack.aims(recogniser, clean, torch.tensor(labels))
    x = attack.walk(recogniser, clean, clean, aims, eps=8, steps=range(iterative.iterations(8)))
    assert torch.equal(x, x.round()) and x.min() >= 0 and x.max() <= 255
    np.testing.assert_array_equal(to_tensor(to_faces(x)), x)


def test_iterations_of_the_paper():
    assert [iterative.iterations(eps) for eps in BUDGETS] == [5, 10, 20, 36, 68, 132]
    assert [iterative.iterations(eps) for eps in (1, 2, 3, 5)] == [1, 2, 3, 6]


@pytest.mark.parametrize("name", CONFIG["attacks"])
def test_budgets_share_their_gradients(recogniser, faces, labels, name, monkeypatch):
    evaluations = []
    gradient = iterative.input_gradient
    monkeypatch.setattr(iterative, "input_gradient", lambda *given: evaluations.append(1) or gradient(*given))
    craft_through_path(recogniser, faces, labels, CONFIG["attacks"][name], BUDGETS, batch=len(faces))
    assert len(evaluations) == 147  # 271 when every budget starts anew


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("budgets", [BUDGETS, [8], [3, 7, 128]])
def test_the_cost_is_known_beforehand(recogniser, faces, labels, name, budgets, monkeypatch):
    evaluations = []
    gradient = iterative.input_gradient
    monkeypatch.setattr(iterative, "input_gradient", lambda *given: evaluations.append(1) or gradient(*given))
    craft_through_path(recogniser, faces, labels, ATTACKS[name], budgets, batch=len(faces))
    assert craft.gradients(iterative.attack(**ATTACKS[name]), budgets) == len(evaluations)


def test_lower_precision_crafts_nearly_the_same(recogniser, faces, labels):
    """The network computes in bf16, everything around it in float32: whole grey levels within the budget."""
    coarse = Recogniser(copy.deepcopy(recogniser.network), [127.5] * 3, [128.0] * 3, torch.bfloat16)
    assert recogniser(to_tensor(faces)).dtype == coarse(to_tensor(faces)).dtype == torch.float32
    torch.testing.assert_close(coarse(to_tensor(faces)), recogniser(to_tensor(faces)), rtol=0.05, atol=0.2)
    entry = CONFIG["attacks"]["bim"]
    fine, rough = (craft_through_path(model, faces, labels, entry, [8])[8] for model in (recogniser, coarse))
    moved = np.abs(rough.astype(int) - faces.astype(int))
    assert 0 < moved.max() <= 8 and 0.8 < (fine == rough).mean() < 1


@pytest.mark.parametrize(
    "seconds, said",
    [(43.8, "; bf16 takes 13.3 times as long as fp32 on this cpu: set compute.precision: fp32"), (1.6, "")],
)
def test_the_estimate_says_that_bf16_is_slower(recogniser, faces, monkeypatch, seconds, said):
    coarse = Recogniser(copy.deepcopy(recogniser.network), [127.5] * 3, [128.0] * 3, torch.bfloat16)
    taken = {torch.float32: 3.3, torch.bfloat16: seconds}
    monkeypatch.setattr(craft, "seconds_a_gradient", lambda network, *_: taken[network.dtype])
    bim = [iterative.attack(**CONFIG["attacks"]["bim"])]
    cost = craft.estimate(coarse, bim, [4], 6, faces, torch.device("cpu"), recogniser)
    assert cost.partition("of faces")[2] == said and cost.startswith("30 gradients, about ")
    assert "fp32" not in craft.estimate(recogniser, bim, [4], 6, faces, torch.device("cpu"), recogniser)


def test_a_gradient_is_timed_without_what_only_adds_to_it(recogniser, faces, monkeypatch):
    """A job beside this one slows one of them down; a slow one is timed once."""
    for clock, seconds in [([0, 0.5, 1, 1.25, 2, 2.5], 0.25), ([0, 21], 21)]:
        ticks = iter(clock)
        monkeypatch.setattr(craft.time, "perf_counter", lambda ticks=ticks: next(ticks))
        assert craft.seconds_a_gradient(recogniser, faces, torch.device("cpu")) == seconds / len(faces)


def test_bim_costs_no_look_at_the_clean_face(labels):
    y = torch.tensor(labels)
    assert torch.equal(iterative.attack(**CONFIG["attacks"]["bim"]).aims(None, None, y), y)


def test_one_face_does_not_change_another(recogniser, faces, labels):
    """Summing the loss over the batch leaves every face its own gradient; equal up to rounding, here exactly."""
    x = to_tensor(faces)
    together = iterative.input_gradient(recogniser, x, torch.tensor(labels))
    for i in range(len(faces)):
        alone = iterative.input_gradient(recogniser, x[i : i + 1], torch.tensor(labels[i : i + 1]))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-7)


def test_an_attack_leaves_the_model_alone(recogniser, faces, labels):
    before = json.dumps({name: value.tolist() for name, value in recogniser.state_dict().items()})
    craft_through_path(recogniser, faces, labels, CONFIG["attacks"]["bim"], [4])
    assert before == json.dumps({name: value.tolist() for name, value in recogniser.state_dict().items()})
    assert all(parameter.grad is None for parameter in recogniser.parameters())


@pytest.mark.parametrize("eps", [4, 16])
def test_bim_agrees_with_foolbox(recogniser, faces, labels, eps):
    """The same walk in [0, 1]; its floats round otherwise than grey levels, so nearly all pixels must agree."""
    foolbox = pytest.importorskip("foolbox")
    scaled = foolbox.PyTorchModel(_In01(recogniser).eval(), bounds=(0, 1), device="cpu")
    bim = foolbox.attacks.LinfBasicIterativeAttack(
        abs_stepsize=1 / 255, steps=iterative.iterations(eps), random_start=False
    )
    x = torch.tensor(faces.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    theirs = bim.run(scaled, x, torch.tensor(labels), epsilon=eps / 255)
    _nearly_all_equal(recogniser, faces, labels, CONFIG["attacks"]["bim"], eps, theirs)


@pytest.mark.parametrize("eps", [4, 16])
def test_illc_agrees_with_torchattacks(recogniser, faces, labels, eps):
    """torchattacks calls it targeted BIM; the target is the least likely class of the clean face."""
    torchattacks = pytest.importorskip("torchattacks")
    model = _In01(recogniser).eval()
    illc = torchattacks.BIM(model, eps=eps / 255, alpha=1 / 255, steps=iterative.iterations(eps))
    illc.set_mode_targeted_by_label(quiet=True)
    x = torch.tensor(faces.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    theirs = illc(x, model(x).argmin(dim=1))
    _nearly_all_equal(recogniser, faces, labels, CONFIG["attacks"]["illc"], eps, theirs)


class _In01(torch.nn.Module):
    def __init__(self, recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, x):
        return self.recogniser(255 * x)


def _nearly_all_equal(recogniser, faces, labels, entry, eps, theirs):
    ours = craft_through_path(recogniser, faces, labels, entry, [eps], batch=len(faces))[eps]
    theirs = (255 * theirs).round().byte().numpy().transpose(0, 2, 3, 1)
    assert (ours == theirs).mean() > 0.995
    assert np.abs(ours.astype(int) - faces.astype(int)).max() == eps
