"""LPIPS: the network by plain loops, its files' faults, and a study that asks for it."""

from __future__ import annotations

import math
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from cloakbench.errors import InputError
from cloakbench.files.seals import sha256
from cloakbench.files.tensors import load_tensors
from cloakbench.measures.lpips import HEADS, LAYERS, convert_lpips, features, lpips
from cloakbench.report.verify import differences
from cloakbench.study.leftover import left_over
from conftest import ROOT, job_counts, snakemake
from references.tables import recompute


def weights(seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Random ones of AlexNet, with a classifier that nobody reads, and of the channels."""
    generator = torch.Generator().manual_seed(seed)
    alexnet = {"classifier.6.bias": torch.zeros(1000)}
    for layer in LAYERS:
        spread = math.sqrt(2 / math.prod(layer.shape[1:]))
        alexnet[f"{layer.name}.weight"] = spread * torch.randn(layer.shape, generator=generator)
        alexnet[f"{layer.name}.bias"] = 0.1 * torch.randn(layer.shape[0], generator=generator)
    heads = {
        name: torch.rand((1, layer.shape[0], 1, 1), generator=generator)
        for name, layer in zip(HEADS, LAYERS, strict=True)
    }
    return alexnet, heads


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("lpips")
    alexnet, heads = weights()
    torch.save(alexnet, directory / "alexnet.pth")
    save_file(heads, directory / "heads.safetensors")
    return {"alexnet": directory / "alexnet.pth", "heads": directory / "heads.safetensors"}


def digests(files: dict[str, Path]) -> dict[str, str]:
    return {name: sha256(path) for name, path in files.items()}


@pytest.fixture(scope="module")
def network(files, tmp_path_factory) -> dict[str, torch.Tensor]:
    path = tmp_path_factory.mktemp("converted") / "lpips.safetensors"
    convert_lpips(**files, digests=digests(files), output=path)
    return load_tensors(path)[0]


# of AlexNet as published: stride and padding of each convolution, and whether it is pooled before it
ALEXNET = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """(C, H, W) place by place in float64."""
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding)])
    side = weight.shape[-1]
    height, width = ((length - side) // stride + 1 for length in x.shape[1:])
    out = np.empty((len(weight), height, width))
    for i in range(height):
        for j in range(width):
            seen = x[:, i * stride : i * stride + side, j * stride : j * stride + side]
            out[:, i, j] = (weight * seen).sum(axis=(1, 2, 3)) + bias
    return np.maximum(out, 0)


def pooled(x: np.ndarray) -> np.ndarray:
    height, width = ((length - 3) // 2 + 1 for length in x.shape[1:])
    return np.array(
        [
            [[plane[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max() for j in range(width)] for i in range(height)]
            for plane in x
        ]
    )


def slowly(clean: np.ndarray, shown: np.ndarray) -> float:
    """By the paper's equation 1, in float64."""
    alexnet, heads = ({name: tensor.double().numpy() for name, tensor in part.items()} for part in weights())
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    layers = []
    for picture in (clean, shown):
        # the published shift and scale of values in -1..1 are ImageNet's of values in 0..1, told with three digits
        shift, scale = np.round(2 * mean - 1, 3), np.round(2 * std, 3)
        x = ((picture / 255 * 2 - 1 - shift) / scale).transpose(2, 0, 1)
        found = []
        for number, (stride, padding, pools) in zip((0, 3, 6, 8, 10), ALEXNET, strict=True):
            x = pooled(x) if pools else x
            x = convolved(x, alexnet[f"features.{number}.weight"], alexnet[f"features.{number}.bias"], stride, padding)
            found.append(x)
        layers.append(found)
    total = 0.0
    for number, (one, other) in enumerate(zip(*layers, strict=True)):
        w, places = heads[f"lin{number}.model.1.weight"].ravel(), []
        for i in range(one.shape[1]):
            for j in range(one.shape[2]):
                f, g = one[:, i, j], other[:, i, j]
                f, g = f / (np.linalg.norm(f) + 1e-10), g / (np.linalg.norm(g) + 1e-10)
                places.append(float((w * (f - g) ** 2).sum()))
        total += sum(places) / len(places)
    return total


@pytest.mark.parametrize("shape", [(48, 48, 3), (64, 40, 3)])
def test_lpips_by_plain_loops(shape, network, rng):
    clean = rng.integers(0, 256, shape, dtype=np.uint8)
    shown = np.clip(clean.astype(int) + rng.integers(-20, 21, shape), 0, 255).astype(np.uint8)
    found = lpips(clean, shown, network)
    assert found == pytest.approx(slowly(clean, shown), rel=1e-4) and found > 1e-3
    assert lpips(shown, clean, network) == pytest.approx(found, rel=1e-6) and lpips(clean, clean, network) == 0
    more = np.clip(clean.astype(int) + rng.integers(-90, 91, shape), 0, 255).astype(np.uint8)
    assert lpips(clean, more, network) > found


def test_a_face_of_the_smallest_size_is_seen_in_every_layer(network, rng):
    shapes = [tuple(one.shape) for one in features(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), network)]
    assert shapes == [(64, 7, 7), (192, 3, 3), (384, 1, 1), (256, 1, 1), (256, 1, 1)]


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_only_tensors_are_read_and_only_of_files_that_are_meant(files, tmp_path, capsys):
    alexnet, _ = weights()
    bad = tmp_path / "bad.pth"

    def refused(state: object, name: str, said: str, digest: str = "") -> None:
        bad.write_bytes(pickle.dumps(state)) if isinstance(state, Evil) else torch.save(state, bad)
        given = files | {name: bad}
        with pytest.raises(InputError) as error:
            convert_lpips(**given, digests=digests(given) | ({name: digest} if digest else {}), output=tmp_path / "out")
        assert said in str(error.value) and str(error.value).startswith(str(bad)) and "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    refused(alexnet, "alexnet", "the config says 00", "0" * 64)
    refused({**alexnet, "x": Evil()}, "alexnet", "nothing was run")
    refused(Evil(), "alexnet", "nothing was run")
    refused({k: v for k, v in alexnet.items() if k != "features.3.bias"}, "alexnet", "features.3.bias is missing")
    refused({**alexnet, "features.0.weight": torch.zeros(64, 3, 3, 3)}, "alexnet", "has the shape (64, 3, 3, 3)")
    refused(
        {**alexnet, "features.8.bias": torch.full((256,), math.nan)}, "alexnet", "features.8.bias holds numbers that"
    )
    refused(alexnet, "heads", "lin0.model.1.weight is missing, LPIPS on AlexNet has (1, 64, 1, 1)")
    refused([1, 2], "heads", "holds no tensors by name")
    assert "run" not in capsys.readouterr().out.split()


CONFIG = {
    "dataset": {"loader": "folder", "subjects": 9},
    "matrix": {"source": ["a"], "attack": ["bim"], "eps": [2], "storage": ["png"], "target": ["a"]},
    "top_k": [1],
    "models": {"a": {"head": "gallery", "crop": "tight", "weights": "b.pt"}},
    "compute": {"chunks": 1},
    "measures": ["quality", "lpips"],
}
CELL = {"source": "a", "attack": "bim", "eps": "2", "storage": "png"}


@pytest.mark.parametrize("settings", [{"stage": "convert_lpips", "of": {}}, {"stage": "perceive", "of": CELL}])
def test_its_files_are_left_over_where_nobody_asks_for_it(settings):
    assert not left_over(CONFIG)("lpips/any/name", settings)
    assert left_over(CONFIG | {"measures": ["quality"]})("lpips/any/name", settings)


SMALL = ROOT / "tests/small.yaml"
ASKED = (
    "measures: [quality, lpips]\nlpips: {alexnet: ALEXNET, alexnet_sha256: ONE, heads: HEADS, heads_sha256: OTHER}\n"
)


def asked(files: dict[str, Path]) -> str:
    text = ASKED.replace("ALEXNET", str(files["alexnet"])).replace("HEADS", str(files["heads"]))
    return text.replace("ONE", sha256(files["alexnet"])).replace("OTHER", sha256(files["heads"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("measures: [quality, lpips]", "measures: lpips needs lpips: {...} with its files, alexnet (torchvision's"),
        ("measures: [lpips]", "measures: lpips is a column of quality; add quality"),
        (ASKED.replace("ONE", "a" * 64).replace("OTHER", "b" * 64), "lpips.alexnet: no file 'ALEXNET'; lpips takes"),
        (
            "measures: [quality, lpips]\nlpips: {alexnet: a.pth, heads: b.pth}",
            "'alexnet_sha256' is a required property",
        ),
    ],
)
def test_asked_for_without_its_files_it_is_refused_in_one_line(text, said, tmp_path):
    (tmp_path / "asked.yaml").write_text(text)
    run = snakemake(tmp_path, "-n", "--configfile", SMALL, tmp_path / "asked.yaml")
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode != 0 and last.startswith("cloakbench: config: ") and said in last
    assert not (tmp_path / "results").exists()


def test_files_that_nobody_asks_for_are_refused(files, tmp_path):
    (tmp_path / "asked.yaml").write_text(asked(files).replace("[quality, lpips]", "[quality]"))
    run = snakemake(tmp_path, "-n", "--configfile", SMALL, tmp_path / "asked.yaml")
    assert "would not be used (measures has no lpips); remove it" in run.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_study_has_one_more_measure(files, tmp_path):
    """It repeats what is written anew with more columns, and no more; without it all is as before."""
    run = snakemake(tmp_path, "--cores", 2, "--configfile", SMALL)
    assert run.returncode == 0, run.stderr
    study = tmp_path / "results/small"
    shutil.copytree(study, tmp_path / "before")
    (tmp_path / "asked.yaml").write_text(asked(files))
    both = ["--configfile", SMALL, tmp_path / "asked.yaml"]
    wanted = {"convert_lpips": 1, "perceive": 2, "quality": 1, "faces": 1, "front": 1, "provenance": 1, "page": 1}
    assert job_counts(snakemake(tmp_path, "-n", *both).stdout) == wanted
    run = snakemake(tmp_path, "--cores", 2, *both)
    assert run.returncode == 0 and list(differences(study)) == [], run.stderr
    assert recompute(study)["quality.csv"] == 2 * 16 * 4
    keys = ["source", "attack", "eps", "storage", "measure"]
    quality, before = (pd.read_csv(folder / "quality.csv").set_index(keys) for folder in (study, tmp_path / "before"))
    pd.testing.assert_frame_equal(quality.loc[before.index], before)
    assert {*quality.index.get_level_values("measure")} - {*before.index.get_level_values("measure")} == {
        "lpips",
        "original_lpips",
    }
    cells = quality.xs("lpips", level="measure")["median"]
    assert cells.xs("clean", level="attack").item() == 0 < cells.xs("bim", level="attack").item()
    faces, earlier = (pd.read_csv(folder / "faces.csv") for folder in (study, tmp_path / "before"))
    assert list(faces) == [*earlier, "lpips", "original_lpips"] and (faces["original_lpips"] > 0).all()
    assert (study / "front.csv").read_bytes() == (tmp_path / "before/front.csv").read_bytes()
    # without it the tables are as they were
    assert snakemake(tmp_path, "--cores", 2, "--configfile", SMALL).returncode == 0
    for name in ("quality.csv", "faces.csv", "front.csv", "psr.csv"):
        assert (study / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
