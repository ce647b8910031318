"""dlib's ResNet out of an npm package: its files read to the byte, and its layers against another definition."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cloakbench.__main__ import main
from cloakbench.errors import InputError
from cloakbench.files.tensors import load_tensors
from cloakbench.recognisers.convert import convert
from cloakbench.recognisers.networks import Halving, Residual
from cloakbench.recognisers.npm import MODEL, convert_npm, read_manifest
from cloakbench.recognisers.recogniser import load_recogniser
from conftest import REAL, ROOT, snakemake

MANIFEST, NUMBERS = f"{MODEL}-weights_manifest.json", f"{MODEL}.bin"
ENTRY = {"arch": "dlib_resnet", "head": "gallery", "crop": "dlib150", "mean": [122.782, 117.001, 104.298], "std": 256}
CROP = {"size": 150, "align": "dlib"}


def stored(name: str, values: np.ndarray, kind: str = "float32") -> tuple[dict, bytes, np.ndarray]:
    """An entry of a manifest, its bytes, and the numbers that they mean."""
    entry = {"name": name, "shape": list(values.shape), "dtype": "float32"}
    if kind == "float32":
        return entry, values.astype("<f4").tobytes(), values.astype("<f4")
    if kind == "float16":
        return entry | {"quantization": {"dtype": kind}}, values.astype("<f2").tobytes(), values.astype("<f2")
    least, scale = float(values.min()), float(np.ptp(values) or 1) / np.iinfo(kind).max
    levels = np.rint((values - least) / scale).astype(np.dtype(kind).newbyteorder("<"))
    facts = {"dtype": kind, "scale": scale, "min": least}
    return entry | {"quantization": facts}, levels.tobytes(), levels * scale + least


def pack(folder: Path, tensors: list[tuple[dict, bytes, np.ndarray]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    entries = [entry for entry, _, _ in tensors]
    (folder / MANIFEST).write_text(json.dumps([{"weights": entries, "paths": [NUMBERS]}]))
    (folder / NUMBERS).write_bytes(b"".join(data for _, data, _ in tensors))
    return folder / MANIFEST


def unit(name: str, size: int, inputs: int, outputs: int, rng: np.random.Generator) -> list[tuple]:
    """A convolution of face-api.js and the scale layer after it; quantised but for one width, as published."""
    kind, gain = "float32" if outputs == 64 else "uint8", np.sqrt(2 / (size * size * inputs))
    return [
        stored(f"{name}/conv/filters", rng.normal(0, gain, (size, size, inputs, outputs)), kind),
        stored(f"{name}/conv/bias", rng.normal(0, 0.1, outputs), "uint8"),
        stored(f"{name}/scale/weights", rng.uniform(0.5, 1, outputs), "uint8"),
        stored(f"{name}/scale/biases", rng.normal(0, 0.1, outputs), "uint8"),
    ]


def blocks() -> list[tuple[str, int, int]]:
    """(name, input channels, output channels) of each block, as face-api.js lists them."""
    found, before = [], 32
    for channels, count in {32: 3, 64: 3, 128: 2, 256: 2}.items():
        found += [(f"conv{channels}_down", before, channels)] if channels > 32 else []
        found += [(f"conv{channels}_{number}", channels, channels) for number in range(1, count + 1)]
        before = channels
    return [*found, ("conv256_down_out", 256, 256)]


def made_up(rng: np.random.Generator) -> list[tuple]:
    """Random weights in the naming, shapes and order of the published file."""
    tensors = unit("conv32_down", 7, 3, 32, rng)
    for name, inputs, outputs in blocks():
        tensors += unit(f"{name}/conv1", 3, inputs, outputs, rng) + unit(f"{name}/conv2", 3, outputs, outputs, rng)
    return [*tensors, stored("fc", rng.normal(0, 0.06, (256, 128)), "uint8")]


# the network in the words of face-api.js: (height, width, channels), one face, scale layers apart, in float64


def conv(x: np.ndarray, weights: dict, name: str, stride: int, pad: int) -> np.ndarray:
    filters = weights[f"{name}/conv/filters"]
    size, x = len(filters), np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((length - size) // stride + 1 for length in x.shape[:2])
    out = np.zeros((rows, columns, filters.shape[3]))
    for row in range(rows):
        for column in range(columns):
            seen = x[row * stride : row * stride + size, column * stride : column * stride + size]
            out[row, column] = np.tensordot(seen, filters, 3)
    return (out + weights[f"{name}/conv/bias"]) * weights[f"{name}/scale/weights"] + weights[f"{name}/scale/biases"]


def pooled(x: np.ndarray, size: int, reduce) -> np.ndarray:
    rows, columns = ((length - size) // 2 + 1 for length in x.shape[:2])
    windows = [[x[2 * r : 2 * r + size, 2 * c : 2 * c + size] for c in range(columns)] for r in range(rows)]
    return np.array([[reduce(window, axis=(0, 1)) for window in row] for row in windows])


def residual(x: np.ndarray, weights: dict, name: str) -> np.ndarray:
    out = np.maximum(conv(x, weights, f"{name}/conv1", 1, 1), 0)
    return np.maximum(conv(out, weights, f"{name}/conv2", 1, 1) + x, 0)


def halving(x: np.ndarray, weights: dict, name: str) -> np.ndarray:
    out = conv(np.maximum(conv(x, weights, f"{name}/conv1", 2, 0), 0), weights, f"{name}/conv2", 1, 1)
    total = np.zeros((x.shape[0] // 2, x.shape[1] // 2, out.shape[2]))
    total[: out.shape[0], : out.shape[1]] += out
    total[:, :, : x.shape[2]] += pooled(x, 2, np.mean)
    return np.maximum(total, 0)


def embedding(face: np.ndarray, weights: dict) -> np.ndarray:
    x = (face - ENTRY["mean"]) / ENTRY["std"]
    x = pooled(np.maximum(conv(x, weights, "conv32_down", 2, 0), 0), 3, np.max)
    for name, _, _ in blocks():
        x = (halving if "down" in name else residual)(x, weights, name)
    return x.mean((0, 1)) @ weights["fc"]


def in_torch(block: torch.nn.Module, weights: dict, name: str) -> torch.nn.Module:
    """The block with weights of the package, scale layers multiplied in."""
    state = {}
    for layer in ("conv1", "conv2"):
        found = {leaf.split("/", 2)[2]: value for leaf, value in weights.items() if leaf.startswith(f"{name}/{layer}/")}
        factor = found["scale/weights"]
        state[f"{layer}.weight"] = torch.from_numpy((found["conv/filters"] * factor).transpose(3, 2, 0, 1))
        state[f"{layer}.bias"] = torch.from_numpy(found["conv/bias"] * factor + found["scale/biases"])
    block.double().load_state_dict(state)
    return block


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (9, 6), (4, 4)])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (4, 8)])
def test_a_block_is_that_of_face_api(inputs, outputs, size, rng):
    units = unit("a/conv1", 3, inputs, outputs, rng) + unit("a/conv2", 3, outputs, outputs, rng)
    weights = {entry["name"]: values for entry, _, values in units}
    x = rng.normal(0, 1, (*size, inputs))
    kinds = [(Halving(inputs, outputs), halving)] + [(Residual(inputs), residual)] * (inputs == outputs)
    for block, reference in kinds:
        found = in_torch(block, weights, "a")(torch.from_numpy(x.transpose(2, 0, 1))[None])[0]
        np.testing.assert_allclose(found.detach().numpy().transpose(1, 2, 0), reference(x, weights, "a"), atol=1e-12)


def test_a_package_becomes_a_recogniser(tmp_path, rng, monkeypatch, capsys):
    """By the command, through the study's own conversion, to embeddings equal to the slow network's."""
    tensors = made_up(rng)
    assert len(tensors) == 117
    pack(tmp_path / "package/model", tensors)
    (tmp_path / "package/package.json").write_text('{"name": "made-up", "version": "1.2.3"}')
    output = tmp_path / "weights/dlib_resnet.safetensors"
    monkeypatch.setattr("sys.argv", ["cloakbench", "convert-npm", str(tmp_path / "package"), "--output", str(output)])
    with pytest.raises(SystemExit) as end:
        main()
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "package/model" / NUMBERS, output)]
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{NUMBERS}: sha256 {digests[0]}\n{output}: sha256 {digests[1]}\n"
    assert load_tensors(output)[1] == {
        "package": "made-up@1.2.3",
        "files": {NUMBERS: digests[0]},
        "arch": "dlib_resnet",
    }
    convert(output, ENTRY, digests[1], (), tmp_path / "converted", (150, 150))
    recogniser = load_recogniser(ENTRY, tmp_path / "converted", None)
    assert isinstance(recogniser.network, torch.fx.GraphModule) and recogniser.outputs == "embedding"
    face = rng.integers(0, 256, (150, 150, 3))
    found = recogniser.embeddings(torch.from_numpy(face).permute(2, 0, 1)[None].float())[0].numpy()
    wanted = embedding(face, {entry["name"]: values for entry, _, values in tensors})
    assert found.shape == (128,) and np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_the_gradient_is_the_same_each_time(tmp_path, rng):
    pack(tmp_path, made_up(rng))
    convert_npm(tmp_path, tmp_path / "weights")
    recogniser = load_recogniser(ENTRY, tmp_path / "weights", None)
    faces = torch.randint(0, 256, (2, 3, 150, 150), generator=torch.Generator().manual_seed(0)).float()
    found = []
    for _ in range(3):
        x = faces.clone().requires_grad_()
        found += torch.autograd.grad(recogniser(x)[:, 0].sum(), x)
    assert found[0].abs().amax((1, 2, 3)).all() and all(torch.equal(found[0], other) for other in found)


def test_numbers_of_every_kind_are_read(tmp_path, rng):
    """From several groups and files; a number that is quantised is off by half a step of its scale at most."""
    kinds, wanted, groups = ("float32", "uint8", "uint16", "float16"), {}, []
    for number in range(2):
        entries, data = [], b""
        for kind in kinds:
            values = rng.normal(0, 1, (3, 2, number + 1))
            entry, part, meant = stored(f"{number}/{kind}", values, kind)
            wanted[entry["name"]] = meant
            assert np.abs(meant - values).max() <= {"uint8": 0.02, "uint16": 1e-4, "float16": 2e-3}.get(kind, 1e-6)
            entries.append(entry)
            data += part
        paths = [f"{number}a.bin", f"{number}b.bin"]
        (tmp_path / paths[0]).write_bytes(data[:13])  # where a file ends means nothing
        (tmp_path / paths[1]).write_bytes(data[13:])
        groups.append({"weights": entries, "paths": paths})
    (tmp_path / MANIFEST).write_text(json.dumps(groups))
    tensors, digests = read_manifest(tmp_path / MANIFEST)
    assert list(tensors) == list(wanted) and list(digests) == ["0a.bin", "0b.bin", "1a.bin", "1b.bin"]
    for name, values in wanted.items():
        np.testing.assert_array_equal(tensors[name], values.astype(np.float64))


def edited(change):
    """Damage to what the manifest says of its only group."""

    def damage(folder: Path) -> None:
        (group,) = json.loads((folder / MANIFEST).read_text())
        change(group)
        (folder / MANIFEST).write_text(json.dumps([group]))

    return damage


def cut_off(folder: Path) -> None:
    (folder / NUMBERS).write_bytes((folder / NUMBERS).read_bytes()[:-1])


def not_a_number(folder: Path) -> None:
    data = bytearray((folder / NUMBERS).read_bytes())
    data[:4] = np.float32("nan").tobytes()
    (folder / NUMBERS).write_bytes(data)


def renamed(name: str):
    return edited(lambda group: group["weights"][0].update(name=name))


DAMAGES = {
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), r"neither here nor in model/ lies .*_manifest\.json"),
    "no numbers": (lambda folder: (folder / NUMBERS).unlink(), r"model\.bin: cannot be read \(No such file"),
    "cut off": (cut_off, r"manifest\.json: .*model\.bin of \d+ bytes where its tensors take \d+: cut off"),
    "no JSON": (lambda folder: (folder / MANIFEST).write_text("<html>\n"), r"manifest\.json: not JSON"),
    "an empty list": (lambda folder: (folder / MANIFEST).write_text("[]"), "no list of groups of weights and paths"),
    "another JSON": (lambda folder: (folder / MANIFEST).write_text('{"a": 1}'), "no list of groups"),
    "no paths": (edited(lambda group: group.pop("paths")), "no list of groups"),
    "no files": (edited(lambda group: group.update(paths=[])), r"no file of 0 bytes where its tensors take \d+"),
    "another folder": (edited(lambda group: group.update(paths=["../a.bin"])), r'"\.\./a\.bin" is no name of a file'),
    "parent": (edited(lambda group: group.update(paths=[".."])), r"cannot be read \(Is a directory\)"),
    "zero byte": (edited(lambda group: group.update(paths=["a\0"])), r'"a\\u0000" is no name of a file'),
    "no name of a file": (edited(lambda group: group.update(paths=[7])), r"7 is no name of a file beside it"),
    "no shape": (edited(lambda group: group["weights"][0].pop("shape")), r"no tensor of float32, .* is {"),
    "a negative length": (edited(lambda group: group["weights"][0].update(shape=[-1, 4])), "no tensor of float32"),
    "no numbers inside": (edited(lambda group: group["weights"][0].update(dtype="string")), "no tensor of float32"),
    "no scale": (edited(lambda group: group["weights"][1]["quantization"].pop("scale")), "no tensor of float32"),
    "no entry": (edited(lambda group: group["weights"].insert(0, None)), "no tensor of float32, .* is null"),
    "NaN": (not_a_number, r"fc: NaN or infinity among its numbers"),
    "infinite scale": (
        edited(lambda group: group["weights"][1]["quantization"].update(scale=float("inf"))),
        "no tensor of float32, .* Infinit",
    ),
    "named twice": (
        edited(lambda group: group["weights"][0].update(name="conv32_down/conv/bias")),
        "names conv32_down/conv/bias twice",
    ),
    "missing": (renamed("fd"), r"fc is missing, which dlib_resnet needs"),
    "transposed": (
        edited(lambda group: group["weights"][0]["shape"].reverse()),
        r"fc is 128 x 256, dlib_resnet needs 256 x 128",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The made-up package with `fc` first and as floats, so that damages find it."""
    rng = np.random.default_rng(0)
    *rest, fc = made_up(rng)
    folder = tmp_path_factory.mktemp("whole")
    pack(folder, [stored("fc", fc[2]), *rest[1:2], rest[0], *rest[2:]])
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_package_is_told_in_one_line(damage, whole, tmp_path):
    for file in (MANIFEST, NUMBERS):
        (tmp_path / file).write_bytes((whole / file).read_bytes())
    change, message = DAMAGES[damage]
    change(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        convert_npm(tmp_path, tmp_path / "out")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert "@vladmandic/face-api" in str(caught.value) and not (tmp_path / "out").exists()


def test_what_is_too_much_is_refused_and_a_whole_package_is_not(whole, tmp_path):
    convert_npm(whole, tmp_path / "out")
    assert load_tensors(tmp_path / "out")[1]["package"] == "unknown"
    pack(tmp_path / "more", [*made_up(np.random.default_rng(0)), stored("fc2", np.ones(2))])
    with pytest.raises(InputError, match="fc2 is unexpected, dlib_resnet has no such tensor"):
        convert_npm(tmp_path / "more", tmp_path / "out2")
    with pytest.raises(InputError, match="nowhere: no such folder; give the folder of the unpacked package"):
        convert_npm(tmp_path / "nowhere", tmp_path / "out2")


def test_a_network_without_its_last_layer_is_refused(whole, tmp_path):
    convert_npm(whole, tmp_path / "out")
    state = load_tensors(tmp_path / "out")[0]
    torch.save({name: value for name, value in state.items() if name != "fc.weight"}, tmp_path / "headless.pt")
    with pytest.raises(InputError, match=r"headless\.pt: dlib_resnet ends in its embedding"):
        convert(tmp_path / "headless.pt", ENTRY, "any", (), tmp_path / "w", (150, 150))


PACKAGE = os.environ.get("CLOAKBENCH_DLIB", "")


@pytest.mark.slow
@pytest.mark.skipif(
    not (PACKAGE and REAL.is_dir()),
    reason="SKIPPED, NOTHING WAS CHECKED: set CLOAKBENCH_DLIB to the unpacked npm package @vladmandic/face-api, and "
    f"have the real photographs at {REAL}",
)
def test_the_real_weights_name_clean_faces(tmp_path):
    """The study's own gate on 62 people, ten photos enrolled of each: 62 of 62 when it was measured."""
    convert_npm(Path(PACKAGE), tmp_path / "weights/dlib_resnet.safetensors")
    model = ENTRY | {"weights": "weights/dlib_resnet.safetensors"}
    study = {
        "study": "dlib",
        "dataset": {"loader": "folder", "root": str(REAL / "lfw62x20"), "subjects": 62, "enrol": 10},
        "matrix": {"source": ["dlib"], "attack": ["bim"], "eps": [4], "storage": ["jpeg75"], "target": ["dlib"]},
        "models": {"dlib": model},
        "crops": {"dlib150": CROP},
    }
    (tmp_path / "dlib.yaml").write_text(yaml.safe_dump(study))
    run = snakemake(
        tmp_path, "--cores", 2, "--configfile", tmp_path / "dlib.yaml", "--", "results/dlib/gate/dlib.json", root=ROOT
    )
    assert run.returncode == 0, run.stdout + run.stderr
    gate = json.loads((tmp_path / "results/dlib/gate/dlib.json").read_text())
    assert gate["faces"] == 62 and gate["clean_top1"] >= 96 and gate["rgb_over_bgr"] > 3
