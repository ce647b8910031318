"""What convert refuses before the long work, for the architectures that are built here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from cloakbench import architectures
from cloakbench.convert import convert
from cloakbench.errors import InputError
from cloakbench.models import load_recogniser, load_tensors

ARCH, CLASSES = "timm/test_resnet", ["a", "b", "c", "d"]
ENTRY = {"arch": ARCH, "head": "softmax", "mean": 127.5, "std": 128}


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    torch.manual_seed(0)
    torch.save(architectures.build(ARCH, len(CLASSES)).state_dict(), path := tmp_path / "weights.pt")
    return path


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_checkpoint_of_its_hash_becomes_a_recogniser(kind, checkpoint, tmp_path):
    digest = hashlib.new(kind, checkpoint.read_bytes()).hexdigest()
    convert(checkpoint, ENTRY, digest, CLASSES, output := tmp_path / "w.safetensors")
    recogniser = load_recogniser(ENTRY, output, None)
    assert recogniser.classes == CLASSES and recogniser(torch.zeros(2, 3, 64, 64)).shape == (2, 4)
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert load_tensors(output)[1]["checkpoint"] == {"file": "weights.pt", "sha256": sha256}


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint, tmp_path):
    for name in "abc":
        convert(checkpoint, ENTRY, "any", CLASSES, tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


@pytest.mark.parametrize(
    ("digest", "classes", "arch", "message"),
    [
        ("any", CLASSES[:3], ARCH, r"weights\.pt: its head has 4 units, the class list 3 identities; .* classes"),
        ("any", [*CLASSES, "e"], ARCH, r"weights\.pt: its head has 4 units, the class list 5 identities"),
        ("0" * 64, CLASSES, ARCH, r"weights\.pt: sha256 is .*, the config says 0{64}: another file"),
        ("0" * 32, CLASSES, ARCH, r"weights\.pt: md5 is .*, the config says 0{32}: another file"),
        ("any", CLASSES, "resnet50", r"weights\.pt: .* resnet50"),
    ],
)
def test_what_does_not_fit_is_named(digest, classes, arch, message, checkpoint, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        convert(checkpoint, ENTRY | {"arch": arch}, digest, classes, tmp_path / "w")
    assert "\n" not in str(caught.value) and not (tmp_path / "w").exists()


def test_a_softmax_head_needs_a_class_head(checkpoint, tmp_path):
    state = {name: tensor for name, tensor in torch.load(checkpoint).items() if not name.startswith("fc.")}
    torch.save(state, checkpoint)
    with pytest.raises(InputError, match=r"weights\.pt: holds no class head for timm/test_resnet; use head: gallery"):
        convert(checkpoint, ENTRY, "any", CLASSES, tmp_path / "w")
