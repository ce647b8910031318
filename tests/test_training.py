"""Small networks and their training: shapes, block families, and the same weights from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cloakbench.errors import InputError
from cloakbench.synthetic.small import SMALL
from cloakbench.synthetic.training import augment, seeded, train

SIDES = {"small_inception_resnet": 160, "small_resnet": 224, "small_seresnet": 224}
CLASSES = 4


@pytest.fixture
def portraits() -> tuple[np.ndarray, np.ndarray]:
    """24 noisy faces (48 x 48) of 4 people who differ in colour and in where a dark bar lies."""
    rng, labels = np.random.default_rng(0), np.arange(24) % CLASSES
    faces = rng.integers(80, 120, (24, 48, 48, 3), dtype=np.uint8)
    for face, label in zip(faces, labels, strict=True):
        face[8 + 8 * label : 14 + 8 * label] = 10
        face[..., label % 3] += 60
    return faces, labels


def trained(name: str, portraits: tuple[np.ndarray, np.ndarray], seed: int, epochs: int = 2) -> nn.Module:
    network = seeded(SMALL[name], CLASSES, seed)
    train(network, *portraits, 127.5, 128.0, seed, "cpu", epochs=epochs)
    return network


def loss_of(network: nn.Module, portraits: tuple[np.ndarray, np.ndarray]) -> float:
    faces, labels = (torch.from_numpy(array) for array in portraits)
    logits = network((faces.permute(0, 3, 1, 2) - 127.5) / 128)
    return functional.cross_entropy(logits, labels).item()


def test_every_network_has_a_side():
    assert SIDES.keys() == SMALL.keys()


@pytest.mark.parametrize("name", SMALL)
def test_network_maps_faces_to_logits_with_a_gradient(name):
    network = seeded(SMALL[name], 7, 0).eval().requires_grad_(False)
    faces = torch.randn(2, 3, SIDES[name], SIDES[name], requires_grad=True)
    logits = network(faces)
    (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, torch.tensor([1, 5])), faces)
    assert logits.shape == (2, 7)
    assert gradient.shape == faces.shape and gradient.abs().amax() > 0
    assert 0.2e6 < sum(parameter.numel() for parameter in network.parameters()) < 0.6e6


def test_only_the_squeeze_and_excitation_network_has_it():
    def has(name: str) -> bool:
        return any("se." in key for key in SMALL[name](2).state_dict())

    assert has("small_seresnet") and not has("small_resnet")


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_trains_the_same_weights(name, portraits):
    before = torch.get_rng_state()
    first, again, other = (trained(name, portraits, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_training_learns_and_leaves_a_frozen_network(portraits):
    untrained = seeded(SMALL["small_resnet"], CLASSES, 0).eval().requires_grad_(False)
    network = trained("small_resnet", portraits, seed=0, epochs=30)
    assert loss_of(network, portraits) < 0.75 * loss_of(untrained, portraits)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_augmented_faces_have_the_size_asked_for_and_stay_faces(portraits):
    faces, _ = portraits
    changed = augment(faces, (32, 32), np.random.default_rng(0))
    assert changed.shape == (24, 3, 32, 32) and changed.dtype == np.float32
    assert np.abs(changed.mean((2, 3)) - faces.mean((1, 2))).max() < 40
    assert augment(faces, (64, 48), np.random.default_rng(0)).shape == (24, 3, 64, 48)


@pytest.mark.parametrize(
    ("faces", "labels", "named"),
    [
        (np.zeros((4, 3, 32, 32), np.uint8), np.zeros(4, int), "training faces"),
        (np.zeros((4, 32, 32, 3), np.float32), np.zeros(4, int), "training faces"),
        (np.zeros((4, 32, 32, 3), np.uint8), np.zeros(3, int), "training labels"),
        (np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, int), "training labels"),
    ],
)
def test_bad_input_is_named(faces, labels, named):
    with pytest.raises(InputError, match=named):
        train(nn.Flatten(), faces, labels, 127.5, 128.0, 0, "cpu")
