"""The clean gate, galleries, and what a job is told when something is not as it should be."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cloakbench import devices
from cloakbench.enrol import templates
from cloakbench.errors import InputError
from cloakbench.gate import check, clean_top1
from cloakbench.models import Recogniser, load_tensors, save_tensors, to_tensor
from cloakbench.seals import read_seal, seal

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_clean_top1_is_the_share_of_right_answers(recogniser, faces, batch):
    predicted = recogniser(to_tensor(faces)).argmax(dim=1).numpy()
    labels = predicted.copy()
    labels[:2] = (labels[:2] + 1) % 10
    assert clean_top1(recogniser, [faces], labels, batch, CPU) == pytest.approx(100 * 4 / 6)
    assert clean_top1(recogniser, [faces[:4], faces[4:]], labels, batch, CPU) == pytest.approx(100 * 4 / 6)
    assert clean_top1(recogniser, [faces[..., ::-1]], predicted, batch, CPU, bgr=True) == 100


def test_the_gate_says_what_is_likely_wrong():
    check("net", 80.0, 0.0, 80)
    with pytest.raises(InputError, match=r"net names 40\.0 % .* BGR"):
        check("net", 40.0, 95.0, 80)
    with pytest.raises(InputError, match="order of the classes"):
        check("net", 1.0, 1.0, 80)
    with pytest.raises(InputError, match="crop"):
        check("net", 60.0, 50.0, 80)


def test_templates_are_the_normalised_means_of_normalised_embeddings(recogniser, faces):
    identities = ["b", "a", "b", "c", "a", "b"]
    means, classes = templates(recogniser, faces, identities, 4, CPU)
    embeddings = F.normalize(recogniser.features(to_tensor(faces)).double())
    assert classes == ["a", "b", "c"]
    for row, name in zip(means, classes, strict=True):
        own = torch.stack([e for e, identity in zip(embeddings, identities, strict=True) if identity == name])
        torch.testing.assert_close(row.double(), F.normalize(own.mean(dim=0), dim=0), rtol=0, atol=1e-6)


def test_a_gallerys_logits_are_scaled_cosines(recogniser, faces):
    recogniser.templates = F.normalize(torch.randn(4, 10, generator=torch.Generator().manual_seed(1)))
    embeddings = recogniser.features(to_tensor(faces))
    expected = [[32 * F.cosine_similarity(e, t, dim=0) for t in recogniser.templates] for e in embeddings]
    torch.testing.assert_close(recogniser(to_tensor(faces)), torch.tensor(expected), rtol=0, atol=1e-4)


def test_unknown_identities_are_refused(recogniser):
    np.testing.assert_array_equal(recogniser.labels(["person 3", "person 0"]), [3, 0])
    with pytest.raises(InputError, match="'stranger' is not among the 10 classes"):
        recogniser.labels(["stranger"])


def test_normalisation_is_inside_the_recogniser(faces):
    seen = []
    network = torch.nn.Sequential(torch.nn.Flatten())
    network.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    Recogniser(network, [131.0912, 103.8827, 91.4953], [1.0, 2.0, 4.0])(to_tensor(faces))
    pixel = (faces[2, 3, 5].astype(np.float32) - np.float32([131.0912, 103.8827, 91.4953])) / [1, 2, 4]
    np.testing.assert_allclose(seen[0][2, :, 3, 5], pixel, rtol=1e-6)


def test_the_same_tensors_and_facts_are_the_same_bytes(tmp_path):
    facts = {f"fact {i}": [str(i)] for i in range(9)}
    for name in ("a", "b"):
        save_tensors(tmp_path / name, {"x": torch.ones(3), "y": torch.zeros(2)}, **facts)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_tensors(tmp_path / "a")[1] == facts


def test_damaged_tensors_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.ones(3)}, classes=["x"])
    assert load_tensors(path)[1] == {"classes": ["x"]}
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"w\.safetensors: changed since it was written"):
        load_tensors(path)
    seal(path)
    with pytest.raises(InputError, match=r"w\.safetensors: not a whole"):
        load_tensors(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so cuda is no mistake")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(InputError, match="device: cuda, but torch finds no GPU"):
        devices.use("cuda", 1)
    assert devices.use("auto", 1) == CPU


def test_seals_say_what_computed(tmp_path):
    """Two processors round alike only with the same vector instructions, two libraries only in the same version."""
    devices.use("cpu", 1)
    path = tmp_path / "file"
    path.touch()
    seal(path)
    facts = read_seal(path)["facts"]
    assert facts["device"] == f"cpu, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    assert (facts["torch"], facts["numpy"]) == (torch.__version__, np.__version__)
