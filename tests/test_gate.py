"""The clean gate, galleries, and what a job is told when something is not as it should be."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from cloakbench.errors import InputError
from cloakbench.files.seals import read_seal, seal
from cloakbench.files.tensors import load_tensors, save_tensors
from cloakbench.files.writing import writing_faces
from cloakbench.jobs import devices
from cloakbench.measures.gate import check, clean_answers, clean_top1, doubt, enrolled_leads, rgb_over_bgr
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import Detection
from cloakbench.photos.images import read_photo
from cloakbench.photos.sample import write_photos
from cloakbench.recognisers.architectures import build, outputs_of
from cloakbench.recognisers.enrol import templates
from cloakbench.recognisers.heads import Gallery
from cloakbench.recognisers.recogniser import Recogniser, load_recogniser, to_tensor
from conftest import REAL, ROOT, needs_real

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_clean_top1_is_the_share_of_right_answers(recogniser, faces, batch):
    predicted = recogniser(to_tensor(faces)).argmax(dim=1).numpy()
    labels = predicted.copy()
    labels[:2] = (labels[:2] + 1) % 10
    parts = [faces[:4], faces[4:]]
    assert clean_top1(clean_answers(recogniser, [faces], labels, batch, CPU)[0]) == pytest.approx(100 * 4 / 6)
    assert clean_top1(clean_answers(recogniser, parts, labels, batch, CPU)[0]) == pytest.approx(100 * 4 / 6)
    assert clean_top1(clean_answers(recogniser, [faces[..., ::-1]], predicted, batch, CPU, bgr=True)[0]) == 100


def test_clean_answers_are_ranks_and_leads_in_the_faces_order(recogniser, faces):
    labels = np.arange(6)
    found, leads = clean_answers(recogniser, [faces[:4], faces[4:]], labels, 3, CPU)
    for label, logits, rank, lead in zip(labels, recogniser(to_tensor(faces)).double(), found, leads, strict=True):
        others = torch.cat([logits[:label], logits[label + 1 :]])
        assert rank == (others > logits[label]).sum()
        assert lead == pytest.approx(float(logits[label] - others.mean()), abs=1e-4)


def test_an_identitys_lead_is_its_own_mean_cosine_minus_that_to_others(recogniser, faces):
    identities = ["b", "a", "b", "alone", "a", "b"]
    found = enrolled_leads(recogniser, faces, identities, 4, CPU)
    embeddings = F.normalize(recogniser.embeddings(to_tensor(faces)).double())
    pairs = list(combinations([i for i, identity in enumerate(identities) if identity != "alone"], 2))
    for identity, lead in zip(["a", "b"], found, strict=True):
        own = [embeddings[i] @ embeddings[j] for i, j in pairs if identities[i] == identities[j] == identity]
        other = [embeddings[i] @ embeddings[j] for i, j in pairs if identities[i] != identities[j]]
        assert lead == pytest.approx(float(torch.stack(own).mean() - torch.stack(other).mean()), abs=1e-6)
    exchanged = enrolled_leads(recogniser, faces[..., ::-1], identities, 2, CPU, bgr=True)
    np.testing.assert_allclose(exchanged, found, atol=1e-6)
    assert len(enrolled_leads(recogniser, faces, list("aaabcd"), 4, CPU)) == 0  # nobody to compare with
    assert len(enrolled_leads(recogniser, faces, list("abcdef"), 4, CPU)) == 0


def coloured(rng: np.random.Generator, people: int, photos: int) -> tuple[np.ndarray, list[str]]:
    """Faces (people * photos, 32, 32, 3) that a person's red and green layers tell apart and whose blue is noise."""
    own = np.repeat(rng.uniform(0, 256, (people, 1, 32, 32, 3)), photos, axis=1)
    noise = rng.uniform(0, 256, own.shape)
    faces = np.where([True, True, False], 0.8 * own + 0.2 * noise, noise).reshape(-1, 32, 32, 3)
    return faces.astype(np.uint8), [f"person {i:02d}" for i in range(people) for _ in range(photos)]


def seeing(*weights: float) -> Recogniser:
    """A recogniser whose embedding is the face with its channels weighted so."""
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1, bias=False), torch.nn.Flatten())
    network[0].weight.data = torch.tensor(weights).reshape(1, 3, 1, 1)
    return Recogniser(network, [127.5] * 3, [128.0] * 3)


@pytest.mark.parametrize("head", ["gallery", "softmax"])
@pytest.mark.parametrize(("weights", "wrong"), [((1.0, 1.0, 0.5), False), ((0.5, 1.0, 1.0), True)])
def test_exchanged_colours_are_noticed_although_every_face_is_named(rng, weights, wrong, head):
    faces, identities = coloured(rng, 12, 4)
    recogniser = seeing(*weights)
    means, recogniser.classes = templates(recogniser, faces, identities, 16, CPU)
    recogniser.head = Gallery(means)
    labels = recogniser.labels(identities)
    answers = [clean_answers(recogniser, [faces], labels, 16, CPU, bgr) for bgr in (False, True)]
    assert [clean_top1(found) for found, _ in answers] == [100, 100]
    if head == "gallery":
        evidence = rgb_over_bgr(*(enrolled_leads(recogniser, faces, identities, 16, CPU, bgr) for bgr in (False, True)))
    else:  # with classes of its own, which the right order gave it
        true_order = seeing(1.0, 1.0, 0.5)
        recogniser.head = Gallery(templates(true_order, faces, identities, 16, CPU)[0])
        answers = [clean_answers(recogniser, [faces], labels, 16, CPU, bgr) for bgr in (False, True)]
        evidence = rgb_over_bgr(*(leads for _, leads in answers), labels)
    assert abs(evidence) > 5 and (evidence < 0) == wrong
    assert (doubt("net", evidence) is not None) == wrong
    if wrong:
        assert "net tells people better apart with red and blue exchanged" in doubt("net", evidence)
        assert "BGR" in doubt("net", evidence)


def test_nothing_is_said_of_the_order_where_it_cannot_be_told(rng):
    faces, identities = coloured(rng, 12, 4)
    grey = np.repeat(faces[..., :1], 3, axis=3)
    rgb, bgr = (enrolled_leads(seeing(1.0, 2.0, 3.0), grey, identities, 16, CPU, order) for order in (False, True))
    assert rgb_over_bgr(rgb, bgr) is None and doubt("net", None) is None
    few, of_few = faces[:28], identities[:28]
    rgb, bgr = (enrolled_leads(seeing(0.0, 0.0, 1.0), few, of_few, 16, CPU, order) for order in (False, True))
    assert len(rgb) == 7 and rgb_over_bgr(rgb, bgr) is None
    difference = rng.normal(-0.1, 1, 10)
    assert doubt("net", rgb_over_bgr(difference, np.zeros(10))) is None  # within what chance does


def test_photos_of_one_identity_are_no_further_evidence(rng):
    difference, labels = rng.normal(0.3, 1, 10), np.arange(10)
    once = rgb_over_bgr(difference, np.zeros(10), labels)
    assert once == rgb_over_bgr(difference, np.zeros(10))
    assert once == pytest.approx(rgb_over_bgr(np.tile(difference, 9), np.zeros(90), np.tile(labels, 9)))


@pytest.mark.parametrize("exchanged", [False, True])
def test_the_gate_warns_writes_down_and_goes_on(tmp_path, rng, exchanged):
    """On the terminal and in the log."""
    faces, identities = coloured(rng, 10, 4)
    state = build("small_inception_resnet", 16).state_dict()
    generator = torch.Generator().manual_seed(1)
    for name, tensor in state.items():
        if name.endswith("weight") and tensor.ndim > 1:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5)
    state["0.0.weight"][:, 0 if exchanged else 2] = 0  # blind for this colour, so right for RGB or for BGR
    save_tensors(tmp_path / "weights", state)
    photos = pd.DataFrame({"identity": identities, "file": "", "sha256": ""}).assign(left=0, top=0, right=9, bottom=9)
    write_photos(tmp_path / "enrolment.csv", photos)
    write_photos(tmp_path / "subjects.csv", photos[::4].assign(subject=range(10), photo=0))
    for name, kept in {"enrolled.npy": faces, "faces.npy": faces[::4]}.items():
        with writing_faces(tmp_path / name, len(kept), (32, 32)) as written:
            written[:] = kept
    model = {"arch": "small_inception_resnet", "head": "gallery", "mean": 127.5, "std": 128}
    recogniser = load_recogniser(model, tmp_path / "weights", None)
    means, classes = templates(recogniser, faces, identities, 16, CPU)
    save_tensors(tmp_path / "gallery", {"templates": means}, classes=classes)
    files = ["subjects.csv", "faces.npy", "weights", "gallery", "enrolment.csv", "enrolled.npy", "output", "log"]
    options = ["subjects", "faces", "weights", "gallery", "enrolment", "enrolled", "output", "log"]
    command = [sys.executable, ROOT / "scripts/gate.py", "--name", "net", "--minimum", "0", "--device", "cpu"]
    command += ["--model", json.dumps(model)]
    for option, file in zip(options, files, strict=True):
        command += [f"--{option}", file]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/lib")}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    warning = "cloakbench gate: WARNING: net tells people better apart with red and blue exchanged"
    assert [text.count(warning) for text in (run.stderr, (tmp_path / "log").read_text())] == [exchanged, exchanged]
    facts = json.loads((tmp_path / "output").read_text())
    assert list(facts)[:4] == ["model", "faces", "clean_top1", "clean_top1_bgr"]
    assert facts["rgb_over_bgr"] < -3 if exchanged else facts["rgb_over_bgr"] > 3
    recogniser.head = Gallery(means)
    found, _ = clean_answers(recogniser, [faces[::4]], np.arange(10), 16, CPU)
    assert facts["clean_top1"] == clean_top1(found)


@needs_real
def test_the_real_facenet_is_told_from_one_with_its_channels_exchanged():
    """Clean top-1 hardly differs between the two; the leads of 20 people do."""
    folders = sorted((REAL / "lfw62x20").iterdir())[:20]
    files = [file for folder in folders for file in sorted(folder.glob("*.jpg"))[:3]]
    middle = Detection(78, 65, 168, 189, 1.0), {"size": 160, "margin": 0}  # where these pictures have the face
    faces = np.stack([cut(read_photo(file), *middle) for file in files])
    identities = [file.parent.name for file in files]
    state = load_file(REAL / "weights/facenet_vggface2.safetensors")
    network = build("inception_resnet_v1", outputs_of("inception_resnet_v1", state))
    network.load_state_dict(state)
    found = {}
    for name in ("right", "exchanged"):
        recogniser = Recogniser(network, [127.5] * 3, [128.0] * 3)
        orders = (enrolled_leads(recogniser, faces, identities, 16, CPU, bgr) for bgr in (False, True))
        found[name] = rgb_over_bgr(*orders)
        network.conv2d_1a.conv.weight.data = network.conv2d_1a.conv.weight.data.flip(1)
    assert found["right"] > 3 and doubt("facenet", found["right"]) is None
    assert found["exchanged"] < -3 and doubt("facenet", found["exchanged"])


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
    embeddings = F.normalize(recogniser.embeddings(to_tensor(faces)).double())
    assert classes == ["a", "b", "c"]
    for row, name in zip(means, classes, strict=True):
        own = torch.stack([e for e, identity in zip(embeddings, identities, strict=True) if identity == name])
        torch.testing.assert_close(row.double(), F.normalize(own.mean(dim=0), dim=0), rtol=0, atol=1e-6)


def test_a_gallerys_logits_are_scaled_cosines(recogniser, faces):
    recogniser.head = Gallery(F.normalize(torch.randn(4, 10, generator=torch.Generator().manual_seed(1))))
    embeddings = recogniser.embeddings(to_tensor(faces))
    expected = [[32 * F.cosine_similarity(e, t, dim=0) for t in recogniser.head.templates] for e in embeddings]
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
