"""What convert refuses before the long work, for the architectures that are built here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors
from cloakbench.recognisers import architectures
from cloakbench.recognisers.convert import convert
from cloakbench.recognisers.recogniser import load_recogniser
from conftest import snakemake

ARCH, CLASSES = "timm/test_resnet", ["a", "b", "c", "d"]
ENTRY = {"arch": ARCH, "head": "softmax", "crop": "tight", "mean": 127.5, "std": 128}


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


# ------------------------------------------------------------------------------------------------ tried on a face

VIT = "timm/vit_tiny_patch16_224"  # takes 224 x 224 and nothing else


def given(arch: str, path: Path, **changed: torch.Tensor) -> Path:
    torch.manual_seed(0)
    torch.save(architectures.build(arch, 4).state_dict() | changed, path)
    return path


@pytest.mark.parametrize(("height", "width"), [(112, 112), (160, 160), (112, 96)])
def test_a_network_of_another_size_than_its_crop_is_refused_with_both(height, width, tmp_path):
    weights = given(VIT, tmp_path / "vit.pt")
    with pytest.raises(InputError) as caught:
        convert(weights, ENTRY | {"arch": VIT}, "any", CLASSES, tmp_path / "w", (height, width))
    expected = f"{VIT} takes 224 x 224 pixels, crop tight gives {height} x {width}; give the model a crop of that size"
    assert str(caught.value) == f"{weights}: {expected}" and not (tmp_path / "w").exists()
    convert(weights, ENTRY | {"arch": VIT}, "any", CLASSES, tmp_path / "w", (224, 224))


@pytest.mark.parametrize("shape", [(112, 112), (224, 224), (112, 96)])
def test_a_network_that_takes_any_size_takes_the_crop(shape, checkpoint, tmp_path):
    convert(checkpoint, ENTRY, "any", CLASSES, tmp_path / "w", shape)
    assert (tmp_path / "w").exists()


def test_a_crop_that_is_too_small_is_refused_in_the_networks_words(tmp_path):
    arch = "inception_resnet_v1"
    weights = given(arch, tmp_path / "facenet.pt")
    with pytest.raises(InputError, match=r"facenet\.pt: inception_resnet_v1 does not take .* 40 x 40 faces") as caught:
        convert(weights, ENTRY | {"arch": arch}, "any", CLASSES, tmp_path / "w", (40, 40))
    assert "\n" not in str(caught.value)


def test_a_network_whose_answers_are_no_numbers_is_refused(tmp_path):
    """Every weight is finite, and the first variance is below zero."""
    name = "conv1.1.running_var"
    weights = given(
        ARCH, tmp_path / "w.pt", **{name: -torch.ones_like(architectures.build(ARCH, 4).state_dict()[name])}
    )
    with pytest.raises(InputError, match=r"w\.pt: timm/test_resnet returns torch.float32 that are not all finite"):
        convert(weights, ENTRY, "any", CLASSES, tmp_path / "out", (64, 64))


def test_the_workflow_tries_every_network_on_its_crop(tmp_path):
    given(VIT, tmp_path / "vit.pt")
    (tmp_path / "vit.yaml").write_text(f"""
        dataset: {{identities: 6, subjects: 2, enrol: 3}}
        matrix: {{source: [vit], attack: [bim], eps: [4], target: [vit]}}
        top_k: [1]
        compute: {{device: cpu}}
        models:
          vit: {{arch: {VIT}, weights: vit.pt, head: gallery, crop: tight112, mean: 127.5, std: 127.5}}
        crops: {{tight112: {{size: 112, margin: 0}}}}
    """)
    target = "results/demo/weights/vit.safetensors"
    run = snakemake(tmp_path, "--cores", 1, "--configfile", tmp_path / "vit.yaml", "--", target)
    assert run.returncode != 0 and f"vit.pt: {VIT} takes 224 x 224 pixels, crop tight112 gives 112 x 112" in run.stderr
