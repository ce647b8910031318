"""Attacks against other people's implementations, each where it is right, bit for bit.

Libraries of pictures in [0, 1] get them divided by 256 instead of 255, with budgets and steps: in binary floats no
division by a power of two rounds, so that they compute what we do. The faces stay away from both ends, where they would
clip at 256. Their loss is a mean over the batch, a power of two as well. Draws are handed to them where they have any.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from cloakbench.attacks import craft, families
from cloakbench.attacks.problem import Problem
from cloakbench.attacks.walk import Walk
from conftest import ROOT
from test_families import CPU, SEED, member

CATALOGUE = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())
BUDGETS = pytest.mark.parametrize("eps", [4, 16])
BLACK = [{"scale": {"zero": 0}}]  # the libraries' pictures have no mid-grey


@pytest.fixture
def faces(rng) -> np.ndarray:
    return rng.integers(32, 224, (4, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def labels(rng, faces):
    return rng.integers(0, 10, len(faces))


class Scaled(torch.nn.Module):
    """A recogniser of pictures whose white is 1 - 1/256."""

    def __init__(self, recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, x):
        return self.recogniser(256 * x)


def attack(name: str, **settings) -> Walk:
    return families.attack(**{"goal": "untargeted", **CATALOGUE[name], **settings})


def problem(recogniser, faces, labels, eps) -> Problem:
    cell = craft.Cell([member({}, recogniser, labels)], faces, np.arange(len(faces)), eps, SEED, len(faces), CPU)
    return next(iter(cell.problems(0)))[1]


def torchattacks_says(name, recogniser, faces, labels, eps, **settings):
    torchattacks = pytest.importorskip("torchattacks")
    theirs = getattr(torchattacks, name)(Scaled(recogniser).eval(), eps=eps / 256, **settings)
    x = torch.tensor(faces.transpose(0, 3, 1, 2) / 256, dtype=torch.float32)
    return theirs, lambda: 256 * theirs(x, torch.tensor(labels))


def steps(eps):
    return {"alpha": 1 / 256, "steps": int(min(eps + 4, 1.25 * eps))}


@BUDGETS
@pytest.mark.parametrize(
    "ours, settings, theirs, options",
    [
        ("fgsm", {}, "FGSM", None),
        ("bim", {}, "BIM", {}),
        ("mi", {}, "MIFGSM", {"decay": 1.0}),
        ("ni", {}, "NIFGSM", {"decay": 1.0}),
        ("ti", {"kernel": 15}, "TIFGSM", {"decay": 1.0, "diversity_prob": 0.0}),
        ("ti", {}, "TIFGSM", {"decay": 1.0, "diversity_prob": 0.0, "len_kernel": 7}),
        ("si_ni", {"views": BLACK}, "SINIFGSM", {"decay": 1.0, "m": 5}),
    ],
    ids=str,
)
def test_torchattacks(recogniser, faces, labels, eps, ours, settings, theirs, options):
    """TI's kernel is of float64 there and then rounded, as here; SI's mean is a sum here, which momentum's divisor
    takes out again but for its rounding: a pixel in ten thousand may differ."""
    options = {} if options is None else {**steps(eps), **options}
    _, run = torchattacks_says(theirs, recogniser, faces, labels, eps, **options)
    expected = run()
    found = attack(ours, **settings).craft(problem(recogniser, faces, labels, eps))
    if theirs in ("TIFGSM", "SINIFGSM"):
        assert (found == expected).float().mean() > 0.999
    else:
        assert torch.equal(found, expected)


@BUDGETS
def test_torchattacks_with_our_views(recogniser, faces, labels, eps, monkeypatch):
    """DI's walk: their transform is replaced by ours, of the same draws, in their scale."""
    theirs, run = torchattacks_says("DIFGSM", recogniser, faces, labels, eps, **steps(eps), decay=0.0)
    given, ours = problem(recogniser, faces, labels, eps), attack("di")
    begun = iter(range(1000))

    def seen(x):
        step = next(begun)
        return ours.views[0](256 * x, 0, lambda *shape: given.draws.uniform(step, 0, shape)) / 256

    monkeypatch.setattr(theirs, "input_diversity", seen)
    expected = run()
    assert next(begun) == steps(eps)["steps"]
    assert (
        ours.craft(given) == expected
    ).float().mean() > 0.999  # g / mean |g| has the sign of g, but where it is tiny


@BUDGETS
@pytest.mark.parametrize("ours", ["bim", "illc", "pgd1"])
def test_foolbox(recogniser, faces, labels, eps, ours):
    foolbox = pytest.importorskip("foolbox")
    model = foolbox.PyTorchModel(recogniser.eval(), bounds=(0, 255), device="cpu")
    given, walk = problem(recogniser, faces, labels, eps), attack(ours)
    options = {"abs_stepsize": 1, "steps": steps(eps)["steps"], "random_start": False}
    if ours == "pgd1":
        options = {"abs_stepsize": eps / 8, "steps": 20, "random_start": True}
    theirs = foolbox.attacks.LinfBasicIterativeAttack(**options)
    theirs.get_random_start = lambda x, _: type(x)(walk._begun(given, 0)["x"])  # of eagerpy
    criterion = foolbox.criteria.Misclassification(torch.tensor(labels))
    if ours == "illc":
        with torch.no_grad():
            criterion = foolbox.criteria.TargetedMisclassification(recogniser(given.clean).argmin(dim=1))
    expected = theirs.run(model, given.clean, criterion, epsilon=eps).round()  # halves of a level, at eps 4
    assert torch.equal(walk.craft(given), expected)


@BUDGETS
def test_art(recogniser, faces, labels, eps):
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.estimators.classification import PyTorchClassifier

    loss = torch.nn.CrossEntropyLoss()
    model = PyTorchClassifier(recogniser, loss, (3, 16, 16), 10, clip_values=(0, 255), device_type="cpu")
    given = problem(recogniser, faces, labels, eps)
    count = steps(eps)["steps"]
    theirs = evasion.ProjectedGradientDescent(
        model, eps=eps, eps_step=1, max_iter=count, verbose=False, num_random_init=0
    )
    expected = theirs.generate(given.clean.contiguous().numpy(), labels)
    np.testing.assert_array_equal(attack("bim").craft(given).numpy(), expected)


@BUDGETS
@pytest.mark.parametrize("ours, theirs", [("fgsm", "FGSM"), ("bim", "PGD"), ("mi", "MIFGSM")])
def test_torchattack(recogniser, faces, labels, eps, ours, theirs):
    """In grey levels; its defaults would divide eps by the number of steps."""
    torchattack = pytest.importorskip("torchattack")
    options = {} if ours == "fgsm" else {"alpha": 1, "steps": steps(eps)["steps"]}
    options |= {"random_start": False} if theirs == "PGD" else {}
    kind = getattr(torchattack, theirs)
    run = kind(recogniser.eval(), normalize=lambda x: x, device=CPU, eps=eps, clip_max=255, **options)
    given = problem(recogniser, faces, labels, eps)
    expected = run(given.clean.contiguous(), torch.tensor(labels))
    assert torch.equal(attack(ours).craft(given), expected)


IDENTITIES = {
    "mi without memory is bim": ({"momentum": 0}, {}),
    "ni without momentum is bim": ({"momentum": 0, "nesterov": True}, {}),
    "di that is never used is bim": ({"views": [{"resize_pad": {"prob": 0}}]}, {}),
    "si of one copy is mi": ({"momentum": 1, "views": [{"scale": {}}]}, {"momentum": 1}),
    "no turn, shift and scale is bim": ({"views": [{"affine": {"rotate": 0, "shift": 0, "scale": 0}}]}, {}),
    "equal copies are one": ({"views": [{"resize_pad": {"prob": 0}}], "copies": 2}, {}),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities(recogniser, faces, labels, name):
    one, other = (attack("bim", **settings) for settings in IDENTITIES[name])
    given = problem(recogniser, faces, labels, 8)
    assert torch.equal(one.craft(given), other.craft(given))


def test_two_equal_networks_are_one(recogniser, faces, labels):
    given = problem(recogniser, faces, labels, 8)
    twice = Problem(given.sources * 2, given.clean, given.eps, given.draws)
    for name in ("bim", "mi_di_ti", "margin"):
        assert torch.equal(attack(name).craft(twice), attack(name).craft(given))


@pytest.mark.parametrize("name", ["margin"])
def test_no_scale_of_the_logits_changes(recogniser, faces, labels, name):
    """A softmax saturates; the margin does not."""
    given = problem(recogniser, faces, labels, 8)
    (source,) = given.sources
    louder = Problem([type(source)(lambda x: 64 * recogniser(x), source.labels)], given.clean, 8, given.draws)
    assert torch.equal(attack(name).craft(louder), attack(name).craft(given))


def test_a_restart_is_never_worse_than_the_first_walk(recogniser, faces, labels):
    given, one, ten = problem(recogniser, faces, labels, 8), attack("pgd1"), attack("pgd")
    aims = one._aims(given)
    first, best = (walk._climbed(given, aims, walk.craft(given)) for walk in (one, ten))
    assert (best >= first).all() and (best > first).any()


def test_momentum_normalises_each_face_alone(recogniser, faces, labels):
    """Several libraries once took the mean over the batch."""
    given = problem(recogniser, faces, labels, 8)
    alone = problem(recogniser, faces[:1], labels[:1], 8)
    assert (attack("mi").craft(given)[:1] == attack("mi").craft(alone)).float().mean() > 0.999
