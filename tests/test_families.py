"""What every family of attacks promises, tested by its being registered."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from cloakbench.attacks import craft, families
from cloakbench.attacks.draws import number
from cloakbench.attacks.families import FAMILIES, Family
from cloakbench.attacks.goals import GOALS
from cloakbench.attacks.norms import NORMS
from cloakbench.errors import InputError
from cloakbench.files.reading import open_faces
from cloakbench.recognisers.views import view, whole
from cloakbench.study.grid import links
from conftest import ROOT, complete
from test_draws import slowly

CPU = torch.device("cpu")
SCHEMAS = ROOT / "workflow/schemas/attacks"
SEED = 5
families.FAMILIES["drifting"] = Family("drifting", norm="linf", shares_path=True)  # tests/drifting.py
REFERENCES = {name: ROOT / f"tests/references/{name}.py" for name in FAMILIES}
ENTRIES = [
    {"family": name, **settings}
    for name in FAMILIES
    for settings in importlib.import_module(f"references.{name}").SETTINGS
]
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: "-".join(map(str, entry.values())))
BUDGETS = [8, *(pytest.param(eps, marks=pytest.mark.slow) for eps in (4, 9, 32))]


@pytest.fixture
def labels(rng, faces):
    return rng.integers(0, 10, len(faces))


class Counted:
    """A model that counts the faces whose gradients were asked for."""

    def __init__(self, model):
        self.model, self.gradients = model, 0

    def __call__(self, x):
        self.gradients += len(x) if x.requires_grad else 0
        return self.model(x)


class Spaced:
    """A model whose outputs are embeddings as well, compared with templates drawn once."""

    def __init__(self, model, classes=10):
        self.model, self.head = model, SimpleNamespace(templates=templates(classes))

    def __call__(self, x):
        return self.model(x)

    def embeddings(self, x):
        return self.model(x).float()


def templates(count, seed=2, classes=10):
    drawn = torch.randn(count, count, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=1, keepdim=True)


def member(entry, model, labels, sees=whole, classes=10):
    """A source of a cell, with embeddings and the template of other photographs where the goal is about them."""
    if not (entry.get("goal") in GOALS and GOALS[entry["goal"]].embedding):
        return craft.Member(model, labels, sees)
    others = templates(classes, seed=4)[labels].numpy() if entry["goal"] == "away_own_photos" else None
    return craft.Member(Spaced(model, classes), labels, sees, others)


class Exact(torch.nn.Module):
    """Three classes, each of which adds up every third pixel with weights of 1 to 3, in float64: sums of whole numbers
    are exact in any order, and no pixel's gradient is a sum."""

    def forward(self, x):
        pixels = x.double().flatten(1)
        weights = 1 + torch.arange(pixels.shape[1]) // 3 % 3
        return torch.stack([(pixels * weights)[:, kind::3].sum(dim=1) for kind in range(3)], dim=1) / 2**16


def crafted(tmp_path: Path, entry, members, faces, eps, batch=4, numbers=None, through_path=True) -> np.ndarray:
    """What the workflow does: walk from link to link, leave the path at the budget; or begin at the clean faces."""
    numbers = np.arange(len(faces)) if numbers is None else numbers
    start, path = None, links([eps]) if through_path and families.shares_path(entry) else []
    for previous, end in path:
        cell = craft.Cell(members, faces, numbers, end, SEED, batch, CPU)
        craft.walk(entry, cell, start, previous, tmp_path / f"{end}.npy")
        start = tmp_path / f"{end}.npy"
    craft.craft(entry, craft.Cell(members, faces, numbers, eps, SEED, batch, CPU), start, tmp_path / "crafted.npy")
    return np.load(tmp_path / "crafted.npy")


def referred(entry, members, faces, eps, batch):
    """The slow reference, on the same batches: a network's sums have another order in another batch."""
    settings = {key: value for key, value in entry.items() if key != "family"}
    reference, found = importlib.import_module(f"references.{entry['family']}").craft, []
    models = [lambda x, one=one: one.model(one.view(x)) for one in members]
    for start in range(0, len(faces), batch):
        part = slice(start, start + batch)
        if isinstance(members[0].model, Spaced):
            anchors = [None if one.others is None else torch.from_numpy(one.others[part]) for one in members]
            heads = [one.model.head.templates for one in members]
            settings["spaces"] = list(zip(models, heads, anchors, strict=True))
        numbers = range(start, len(faces))
        draw = lambda face, *where, own=numbers: slowly(SEED, own[face], *where)  # noqa: E731
        found.append(reference(models, faces[part], [one.labels[part] for one in members], eps, draw, **settings))
    return np.concatenate(found)


def agree(entry, found, expected):
    """Bit for bit, or as nearly as the reference says that its own arithmetic can tell."""
    least = getattr(importlib.import_module(f"references.{entry['family']}"), "agreement", lambda settings: 1.0)(entry)
    assert (found == expected).mean() >= least


@every_entry
@pytest.mark.parametrize("eps", BUDGETS)
def test_it_is_what_the_slow_reference_says(recogniser, faces, labels, tmp_path, entry, eps):
    """One face at a time where the reference has them so, for else the networks' sums differ."""
    batch = 1 if entry["family"] == "drifting" else 4
    members = [member(entry, recogniser, labels)]
    expected = referred(entry, members, faces, eps, batch)
    agree(entry, found := crafted(tmp_path, entry, members, faces, eps, batch), expected)
    np.testing.assert_array_equal(crafted(tmp_path, entry, members, faces, eps, batch, through_path=False), found)


@every_entry
def test_before_it_is_rounded_it_is_the_same(recogniser, faces, labels, tmp_path, entry):
    """What rounds to the crafted faces, within the budget; the crafted faces themselves where nothing is rounded."""
    members, eps = [member(entry, recogniser, labels)], 9
    found = crafted(tmp_path, entry, members, faces, eps, through_path=False)
    cell = craft.Cell(members, faces, np.arange(len(faces)), eps, SEED, 4, CPU, whole=False)
    craft.craft(entry, cell, None, tmp_path / "unrounded.npy")
    unrounded, norm = open_faces(tmp_path / "unrounded.npy", np.float32), NORMS[families.norm(entry)]
    x, clean = (torch.from_numpy(np.array(one, np.float32)).permute(0, 3, 1, 2) for one in (unrounded, faces))
    assert (norm.whole(x, clean, eps).permute(0, 2, 3, 1).numpy() == found).all()
    assert (norm.size(x - clean) <= eps + craft.FLOAT).all()
    assert families.fractional(entry) or (unrounded == found).all()


def test_what_is_rounded_in_the_end_is_known_of_an_entry():
    entries = yaml.safe_load((ROOT / "workflow/attacks.yaml").read_text())
    rounded = {name for name, entry in entries.items() if families.fractional(entry)}
    assert {"bim_l2", "pgd_paper", "mi_paper", "rfgsm", "pgd1"} < rounded
    assert rounded.isdisjoint({"bim", "illc", "mi", "mi_di_ti", "away_clean", "si_ni"})


@every_entry
def test_several_sources_with_views_of_their_own(recogniser, faces, labels, tmp_path, entry):
    """The second sees the canvas in half its size and counts the classes otherwise."""
    small, others = view((16, 16), (8, 8)), (labels + 3) % 10
    up = view((8, 8), (16, 16))

    def second(x):
        return recogniser(up(x)).flip(1)

    members = [member(entry, recogniser, labels), member(entry, second, others, small)]
    batch = 1 if entry["family"] == "drifting" else 4
    expected = referred(entry, members, faces, 8, batch)
    found = crafted(tmp_path, entry, members, faces, 8, batch)
    assert (found == expected).mean() > 0.985  # the two losses are added in float32 or in float64
    alone = crafted(tmp_path, entry, members[:1], faces, 8, batch)
    assert (found != alone).mean() > 0.01


@every_entry
@pytest.mark.parametrize("eps", [1, 4, 9, 128])
def test_the_budget_is_held_in_its_own_norm(recogniser, faces, labels, tmp_path, entry, eps):
    faces[0], faces[1] = 0, 255
    found = crafted(tmp_path, entry, [member(entry, recogniser, labels)], faces, eps)
    moved = torch.from_numpy(found.astype(np.float32) - faces).permute(0, 3, 1, 2)
    assert found.dtype == np.uint8 and (found != faces).any()
    assert (NORMS[families.norm(entry)].size(moved) <= eps).all()


@every_entry
def test_crafted_faces_are_whole_grey_levels(recogniser, faces, labels, entry):
    cell = craft.Cell([member(entry, recogniser, labels)], faces, np.arange(len(faces)), 8, SEED, 4, CPU)
    for _, problem in cell.problems(0):
        x = families.attack(**entry).craft(problem)
        assert torch.equal(x, x.round()) and x.min() >= 0 and x.max() <= 255


@every_entry
@pytest.mark.parametrize("eps", [3, 8, 33])
def test_gradients_are_as_many_as_announced(recogniser, faces, labels, tmp_path, entry, eps):
    crafter, counted = families.attack(**entry), Counted(recogniser)
    members = [member(entry, counted, labels)]
    crafted(tmp_path, entry, members, faces, eps, through_path=False)
    assert counted.gradients == crafter.gradients(eps) * len(faces)
    if families.shares_path(entry):
        counted.gradients = 0
        crafted(tmp_path, entry, members, faces, eps)
        assert counted.gradients == crafter.gradients(eps) * len(faces)
        assert 0 <= crafter.shared(eps) <= crafter.gradients(eps)


@every_entry
def test_no_gradient_is_no_nan(faces, labels, tmp_path, entry):
    def indifferent(x):
        return 0 * x.sum(dim=(1, 2, 3))[:, None] + torch.arange(10)

    found = crafted(tmp_path, entry, [member(entry, indifferent, labels)], faces, 8)
    begun = {None: 0, "ones": 1}.get(entry.get("start"), 8)
    assert np.abs(found.astype(int) - faces).max() <= begun


@every_entry
def test_no_face_depends_on_its_company(faces, tmp_path, entry):
    """On a network whose arithmetic is exact: alone, in batches of any size, in any order, in parts, it is the same."""
    labels, numbers = np.arange(len(faces)) % 3, np.arange(len(faces)) + 70
    model = Exact()

    def of(rows, batch):
        members = [member(entry, model, labels[rows], classes=3)]
        return crafted(tmp_path, entry, members, faces[rows], 8, batch, numbers[rows])

    together = of(np.arange(len(faces)), 6)
    assert (together != faces).any()
    for order, batch in (([0, 1, 2, 3, 4, 5], 1), ([5, 0, 3, 1, 4, 2], 4), ([2, 3], 2), ([4], 6)):
        np.testing.assert_array_equal(of(np.array(order), batch), together[order])


@every_entry
def test_equal_batches_give_equal_bytes(recogniser, faces, labels, tmp_path, entry):
    """On a network that rounds; nothing is left over in it, nor between one run and the next."""
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    members = [member(entry, recogniser, labels)]
    first = crafted(tmp_path, entry, members, faces, 8)
    crafted(tmp_path, entry, members, faces[::-1].copy(), 4)
    np.testing.assert_array_equal(crafted(tmp_path, entry, members, faces, 8), first)
    assert all(torch.equal(value, before[name]) for name, value in recogniser.state_dict().items())
    assert all(parameter.grad is None for parameter in recogniser.parameters())


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_its_reference_stands_alone(name):
    """Written from the publication: what it imported of ours it could not prove."""
    assert REFERENCES[name].is_file(), f"no slow reference: {REFERENCES[name]}"
    tree = ast.parse(REFERENCES[name].read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert modules and not [module for module in modules if module.startswith("cloakbench")]


def test_every_family_has_its_schema():
    assert {path.name.split(".")[0] for path in SCHEMAS.iterdir()} == {*FAMILIES} - {"drifting"}


@pytest.mark.parametrize("name", sorted({*FAMILIES} - {"drifting"}))
def test_a_setting_that_a_family_does_not_use_is_refused(name):
    entry = {"family": name, **importlib.import_module(f"references.{name}").SETTINGS[0]}
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["attacks"] = {"mine": entry}
    assert complete(config)["attacks"]["mine"] == entry
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["attacks"] = {"mine": entry | {"impulse": 1}}
    with pytest.raises(InputError, match=r"attacks\.mine: .*'impulse'.*known: .*family"):
        complete(config)


def test_a_family_that_leaves_its_budget_becomes_no_file(recogniser, faces, labels, tmp_path, monkeypatch):
    monkeypatch.setattr("drifting.Drifting.gradients", lambda self, eps: eps + 1)
    monkeypatch.setattr("drifting.Drifting.craft", lambda self, problem, state=None: problem.clean + problem.eps + 1)
    with pytest.raises(ValueError, match="family drifting has left its budget of 4"):
        crafted(tmp_path, ENTRIES[-1], [craft.Member(recogniser, labels, whole)], faces, 4)
    assert not (tmp_path / "crafted.npy").exists()


def test_a_state_holds_whole_pictures(recogniser, faces, labels, tmp_path, monkeypatch):
    monkeypatch.setattr("drifting.Drifting.walk", lambda self, problem, *_: {"x": problem.clean + 0.5})
    with pytest.raises(ValueError, match="fractions of grey levels"):
        crafted(tmp_path, ENTRIES[-1], [craft.Member(recogniser, labels, whole)], faces, 4)


def test_faces_have_numbers_of_their_own():
    subjects, photos = torch.arange(100).repeat_interleave(100), torch.arange(100).repeat(100)
    assert len(number(subjects, photos).unique()) == 10_000
