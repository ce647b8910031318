"""Converted checkpoints against a second definition of the Caffe networks; files that lie, break or attack.

The stand-ins are random weights in the naming and form of the published files. `caffe_network` below runs
them under their own names and knows nothing of torchvision, timm or the conversion.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import math
import os
import pickle
import struct
import tarfile
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers import architectures, checkpoints
from cloakbench.recognisers.checkpoints import read_checkpoint
from cloakbench.synthetic.small import SMALL

CLASSES = 7
BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # conv2_x to conv5_x of the prototxt
OXFORD = ("resnet50", "senet50")
TINY = "timm/test_resnet"  # half a million parameters
TWO_HEADS = "timm/deit_tiny_distilled_patch16_224"
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


# the Caffe networks, from the prototxt


def caffe_weights(arch: str, classes: int = CLASSES) -> dict[str, torch.Tensor]:
    """Random float32 weights under the prototxt's names, as Albanie's files have them, for RGB input."""
    numbers = torch.Generator().manual_seed(len(arch))
    weights: dict[str, torch.Tensor] = {}

    def layer(name: str, outputs: int, inputs: int, kernel: int, bias: bool) -> None:
        fan_in = inputs * kernel * kernel
        weights[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=numbers)
        weights[f"{name}.weight"] *= math.sqrt(2 / fan_in)
        if bias:
            weights[f"{name}.bias"] = torch.randn(outputs, generator=numbers)
            return
        for leaf, low, high in (
            ("weight", 0.5, 1),
            ("bias", -1, 1),
            ("running_mean", -1, 1),
            ("running_var", 0.5, 2),
        ):
            weights[f"{name}_bn.{leaf}"] = torch.rand(outputs, generator=numbers) * (high - low) + low

    layer("conv1_7x7_s2", 64, 3, 7, bias=False)
    inputs = 64
    for stage, count in BLOCKS.items():
        width = 16 << stage
        for block in range(1, count + 1):
            name = f"conv{stage}_{block}"
            layer(f"{name}_1x1_reduce", width, inputs, 1, bias=False)
            layer(f"{name}_3x3", width, width, 3, bias=False)
            layer(f"{name}_1x1_increase", 4 * width, width, 1, bias=False)
            if arch == "senet50":
                layer(f"{name}_1x1_down", width // 4, 4 * width, 1, bias=True)
                layer(f"{name}_1x1_up", 4 * width, width // 4, 1, bias=True)
            if block == 1:
                layer(f"{name}_1x1_proj", 4 * width, inputs, 1, bias=False)
            inputs = 4 * width
    layer("classifier", classes, inputs, 1, bias=True)
    return weights


def caffe_network(weights: dict[str, torch.Tensor], pictures: torch.Tensor) -> torch.Tensor:
    """Logits (N, C) of (N, 3, H, W) pictures in the channel order of the weights, in float64.

    Caffe's semantics: the stride of a stage sits in its first 1x1 reduce convolution (and the projection
    beside it), max pooling has no padding and rounds its size up, batch norm's eps is 1e-5.
    """
    w = {name: tensor.double() for name, tensor in weights.items()}

    def unit(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        x = F.conv2d(x, w[f"{name}.weight"], stride=stride, padding=padding)
        mean, variance, scale, shift = (
            w[f"{name}_bn.{leaf}"][:, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def excite(x: torch.Tensor, name: str) -> torch.Tensor:
        squeezed = x.mean(dim=(2, 3), keepdim=True)
        hidden = F.conv2d(squeezed, w[f"{name}_1x1_down.weight"], w[f"{name}_1x1_down.bias"]).relu()
        return x * F.conv2d(hidden, w[f"{name}_1x1_up.weight"], w[f"{name}_1x1_up.bias"]).sigmoid()

    x = unit(pictures.double(), "conv1_7x7_s2", stride=2, padding=3).relu()
    assert x.shape[-1] % 2 == 0  # for even sizes, rounding up means one more row and column of nothing
    x = F.pad(x, (0, 1, 0, 1), value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(4, 5))
    for stage, count in BLOCKS.items():
        for block in range(1, count + 1):
            name, stride = f"conv{stage}_{block}", 2 if block == 1 and stage > 2 else 1
            y = unit(x, f"{name}_1x1_reduce", stride=stride).relu()
            y = unit(y, f"{name}_3x3", padding=1).relu()
            y = unit(y, f"{name}_1x1_increase")
            if f"{name}_1x1_down.weight" in w:
                y = excite(y, name)
            x = (y + (unit(x, f"{name}_1x1_proj", stride=stride) if block == 1 else x)).relu()
    features = x.mean(dim=(2, 3))
    return features @ w["classifier.weight"].flatten(1).T + w["classifier.bias"]


PICKLE_PARTS = {
    "1x1_reduce": "conv1", "3x3": "conv2", "1x1_increase": "conv3", "1x1_proj": "downsample.0",
    "1x1_reduce_bn": "bn1", "3x3_bn": "bn2", "1x1_increase_bn": "bn3", "1x1_proj_bn": "downsample.1",
    "1x1_down": "conv4", "1x1_up": "conv5",
}  # fmt: skip


def pickle_arrays(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The same weights as cydonia999's files have them: torchvision-like names, linear classifier, BGR."""
    arrays = {}
    for name, tensor in weights.items():
        layer, leaf = name.split(".")
        if layer.startswith("conv1_"):
            layer = "bn1" if layer.endswith("_bn") else "conv1"
        elif layer == "classifier":
            layer, tensor = "fc", tensor.squeeze()
        else:
            stage, block, part = layer.removeprefix("conv").split("_", 2)
            layer = f"layer{int(stage) - 1}.{int(block) - 1}.{PICKLE_PARTS[part]}"
        arrays[f"{layer}.{leaf}"] = tensor.numpy()
    arrays["conv1.weight"] = np.ascontiguousarray(arrays["conv1.weight"][:, ::-1])
    return arrays


class Python2Pickler(pickle._Pickler):
    """Strings and bytes as Python 2 wrote them."""

    def save_text(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch = pickle._Pickler.dispatch | {str: save_text, bytes: save_text}


def python2_pickle(content: object) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(content)
    return file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


# files in the published forms


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, torch.Tensor]]:
    return {arch: caffe_weights(arch) for arch in OXFORD}


@pytest.fixture(scope="module")
def files(weights, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """(arch, form) -> path. Suffixes are those of nothing: the form has to be seen in the content."""
    folder, paths = tmp_path_factory.mktemp("published"), {}
    for arch in OXFORD:
        for form, new in (("dag", False), ("dag-zip", True)):
            paths[arch, form] = folder / f"{arch}-{form}"
            torch.save(weights[arch], paths[arch, form], _use_new_zipfile_serialization=new)
        paths[arch, "pickle"] = folder / f"{arch}-pickle"
        paths[arch, "pickle"].write_bytes(python2_pickle(pickle_arrays(weights[arch])))
    archive = folder / "archive"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        for arch in OXFORD:
            name = f"{arch}_ft_dag"
            add(tar, f"{name}/{name}.py", b"raise SystemExit")
            add(tar, f"{name}/{name}.pth", paths[arch, "dag"].read_bytes())
            add(tar, f"{arch}_scratch_dag/{arch}_scratch_dag.pth", b"another network")
            paths[arch, "archive"] = archive
    return paths


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def converted(path: Path, arch: str, member: str | None = None) -> nn.Module:
    """The network that a study would run, in float64."""
    state = read_checkpoint(path, arch, member)
    network = architectures.build(arch, architectures.outputs_of(arch, state))
    network.load_state_dict(state)
    return network.double()


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 50


@pytest.fixture(scope="module")
def expected(weights, faces) -> dict[str, torch.Tensor]:
    return {arch: caffe_network(weights[arch], faces) for arch in OXFORD}


@pytest.fixture(scope="module")
def networks(files) -> dict[str, nn.Module]:
    return {arch: converted(files[arch, "dag"], arch) for arch in OXFORD}


@torch.no_grad()
def difference(network: nn.Module, faces: torch.Tensor, logits: torch.Tensor) -> float:
    """Largest difference of any logit, relative to the spread of the logits."""
    return float((network(faces) - logits).abs().max() / logits.std())


# conversions


@pytest.mark.parametrize("form", ["dag", "dag-zip", "archive", "pickle"])
@pytest.mark.parametrize("arch", OXFORD)
def test_conversion_is_the_caffe_network(arch, form, files, faces, expected):
    network = converted(files[arch, form], arch)
    assert difference(network, faces, expected[arch]) <= 1e-9


@pytest.mark.parametrize("arch", OXFORD)
def test_pickled_arrays_expect_bgr(arch, weights, faces, expected):
    """The stand-in itself is one for BGR: run as it stands, it gives the same logits for turned pictures."""
    bgr = weights[arch] | {"conv1_7x7_s2.weight": torch.from_numpy(pickle_arrays(weights[arch])["conv1.weight"])}
    assert torch.allclose(caffe_network(bgr, faces.flip(1)), expected[arch], rtol=1e-9)
    assert not torch.allclose(caffe_network(bgr, faces), expected[arch], rtol=1e-2)


def stage(network: nn.Module, number: int) -> nn.Module:
    return getattr(network, f"layer{number}")[0]


def stride_in_3x3(number: int):
    def plant(network: nn.Module) -> None:
        stage(network, number).conv1.stride, stage(network, number).conv2.stride = (1, 1), (2, 2)

    return plant


def pooling(**settings):
    def plant(network: nn.Module) -> None:
        name = "maxpool" if hasattr(network, "maxpool") else "pool0"
        setattr(network, name, nn.MaxPool2d(3, 2, **settings))

    return plant


def bgr_input(network: nn.Module) -> None:
    stem = network.conv1 if hasattr(network, "conv1") else network.layer0.conv1
    stem.weight.data = stem.weight.data.flip(1)


def norm_eps(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


MISTAKES = {
    "stride of layer2 in 3x3": stride_in_3x3(2),
    "stride of layer3 in 3x3": stride_in_3x3(3),
    "stride of layer4 in 3x3": stride_in_3x3(4),
    "pooling with padding": pooling(padding=1),
    "pooling rounds down": pooling(ceil_mode=False),
    "channel order": bgr_input,
    "batch norm eps": norm_eps,
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("arch", OXFORD)
def test_comparison_sees_a_planted_mistake(arch, mistake, networks, faces, expected):
    network = copy.deepcopy(networks[arch])
    MISTAKES[mistake](network)
    assert difference(network, faces, expected[arch]) > 1e-4


@pytest.mark.parametrize("arch", OXFORD)
def test_comparison_sees_a_forgotten_turn_of_the_channels(arch, files, faces, expected, monkeypatch):
    monkeypatch.setattr(checkpoints, "_flip_input", lambda *_: None)
    assert difference(converted(files[arch, "pickle"], arch), faces, expected[arch]) > 1e-2


@pytest.mark.parametrize("arch", OXFORD)
def test_comparison_sees_layers_in_another_order(arch, files, faces, expected, monkeypatch):
    layers = dict(architectures.ARCHITECTURES[arch].layers)
    second, third = "conv2_2_1x1_reduce", "conv2_3_1x1_reduce"
    layers[second], layers[third] = layers[third], layers[second]
    record = architectures.ARCHITECTURES[arch]
    swapped = architectures.Architecture(record.build, record.head, record.stem, layers)
    monkeypatch.setattr(architectures, "find", lambda _: swapped)
    assert difference(converted(files[arch, "dag"], arch), faces, expected[arch]) > 1e-4


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol_hold_the_same(protocol, weights, networks, tmp_path):
    arrays = pickle_arrays(weights["resnet50"])
    arrays["layer1.0.conv2.weight"] = np.asfortranarray(arrays["layer1.0.conv2.weight"])
    arrays["layer1.0.bn1.bias"] = arrays["layer1.0.bn1.bias"].astype(">f8")
    path = tmp_path / "weights.pkl"
    if protocol < 2:  # text: forty times the size, so only the kind of file is tried
        arrays = {name: array for name, array in arrays.items() if name.startswith("bn1")}
        path.write_bytes(pickle.dumps(arrays, protocol))
        refused(path, "resnet50", "conv1.weight", "missing")
        return
    path.write_bytes(pickle.dumps(arrays, protocol))
    state = read_checkpoint(path, "resnet50")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    for name, tensor in networks["resnet50"].state_dict().items():
        assert torch.equal(state[name].to(tensor.dtype), tensor), name


@pytest.mark.parametrize("outputs", [CLASSES, None])
def test_facenet_with_and_without_its_class_head(outputs, tmp_path):
    from facenet_pytorch import InceptionResnetV1

    original = InceptionResnetV1(classify=outputs is not None, num_classes=outputs).eval()
    torch.save(original.state_dict(), path := tmp_path / "facenet.pt")
    pictures = torch.randn(2, 3, 80, 80, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(converted(path, "inception_resnet_v1")(pictures), original.double()(pictures))


def tiny_state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return architectures.build(TINY, CLASSES).state_dict() | changes


def same(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "module.model."])
def test_safetensors_with_prefixes_and_without_counters(prefix, tmp_path):
    state = tiny_state()
    stored = {f"{prefix}{k}": v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    safetensors.torch.save_file(stored, path := tmp_path / "weights")
    assert same(read_checkpoint(path, TINY), state)


def test_half_precision_and_a_training_checkpoint_become_float32(tmp_path):
    state = {name: tensor.half().to(tensor.dtype) for name, tensor in tiny_state().items()}
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": halves}, path := tmp_path / "last.pt")
    assert same(read_checkpoint(path, TINY), state)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not hasattr(torch, "quantize_per_tensor"), reason="this torch has no quantised tensors")
def test_quantised_linear_layers_become_float(tmp_path):
    """EdgeFace's `_q` files: dynamic quantisation keeps each linear layer as (int8 weight, float bias)."""
    arch = "timm/edgenext_xx_small"
    network = architectures.build(arch, 512)
    stored, expected = dict(network.state_dict()), network.state_dict()
    for name, module in network.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        weight = torch.quantize_per_tensor(module.weight.data, 0.01, 0, torch.qint8)
        expected[f"{name}.weight"] = weight.dequantize()
        bias = stored.pop(f"{name}.bias", None)
        del stored[f"{name}.weight"]
        stored[f"{name}._packed_params._packed_params"] = (weight, bias)
        stored |= {f"{name}._packed_params.dtype": torch.qint8}
        stored |= {f"{name}.scale": torch.tensor(1.0), f"{name}.zero_point": torch.tensor(0)}
    torch.save({f"model.{name}": value for name, value in stored.items()}, path := tmp_path / "edgeface_q.pt")
    assert same(read_checkpoint(path, arch), expected)


@pytest.mark.skipif(not REAL.exists(), reason="the published weights are not on this machine")
@pytest.mark.parametrize(
    ("name", "arch", "outputs", "width"),
    [
        ("facenet_vggface2", "inception_resnet_v1", None, 512),
        ("edgeface_xs", "timm/edgenext_x_small", 512, 512),
    ],
)
def test_published_weights_load(name, arch, outputs, width):
    state = read_checkpoint(REAL / "weights" / f"{name}.safetensors", arch)
    assert architectures.outputs_of(arch, state) == outputs
    network = architectures.build(arch, outputs)
    network.load_state_dict(state)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 112, 112)).shape == (1, width)


# architectures


@pytest.mark.parametrize("arch", [*architectures.ARCHITECTURES, *SMALL, TINY, "timm/test_vit", TWO_HEADS])
def test_outputs_are_found_in_the_weights(arch):
    with torch.device("meta"):
        network = architectures.build(arch, CLASSES)
    state = network.state_dict()
    assert not network.training
    assert architectures.outputs_of(arch, state) == CLASSES
    head = architectures.find(arch).head
    assert architectures.outputs_of(arch, {k: v for k, v in state.items() if not k.startswith(head)}) is None


@pytest.mark.parametrize(("arch", "width"), [("resnet50", 2048), ("senet50", 2048), ("inception_resnet_v1", 512)])
def test_without_a_head_the_features_come_out(arch, width):
    with torch.device("meta"):
        assert architectures.build(arch, None)(torch.zeros(2, 3, 96, 96)).shape == (2, width)


@pytest.mark.parametrize(
    ("arch", "advice"),
    [("resnet", "senet50"), ("timm/edgenxt_small", "edgenext_small"), ("timm/hf-hub:a/b", "timm")],
)
def test_unknown_architectures_are_refused_with_the_known_ones(arch, advice):
    with pytest.raises(InputError, match=advice):
        architectures.build(arch, None)


# files that lie or break


def refused(path: Path, arch: str, *words: str, member: str | None = None) -> None:
    with pytest.raises(InputError) as caught:
        read_checkpoint(path, arch, member)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500, message
    assert all(word in message for word in (path.name, *words)), message


def saved(state: dict, path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("conv1.0.weight"), ["conv1.0.weight", "missing"]),
        (
            lambda state: state.update({"conv1.0.weight": torch.zeros(2, 3)}),
            ["conv1.0.weight", "2 x 3", "needs"],
        ),
        (lambda state: state.update(stray=torch.zeros(4)), ["stray", "unexpected"]),
        (lambda state: state.update({"fc.bias": torch.zeros(8)}), ["fc.bias", "8", "needs 7"]),
        (lambda state: state.pop("fc.weight"), ["fc.weight", "missing"]),
        (lambda state: state.update({"fc.bias": torch.full((7,), torch.nan)}), ["fc.bias", "NaN"]),
        (lambda state: state.update({"fc.bias": [0.0] * 7}), ["fc.bias", "list"]),
        (lambda state: state.clear(), ["no tensors"]),
    ],
)
def test_tensors_that_do_not_fit_are_named(change, words, tmp_path):
    state = dict(tiny_state())
    change(state)
    refused(saved(state, tmp_path / "weights.pt"), TINY, *words)


def test_another_architecture_is_refused(files, tmp_path):
    refused(files["resnet50", "dag"], "senet50", "senet50", "missing")
    refused(files["senet50", "dag"], "resnet50", "unexpected")
    refused(files["resnet50", "pickle"], "inception_resnet_v1", "BGR", "resnet50")
    refused(saved({"logits.weight": torch.zeros(2, 3)}, tmp_path / "a.pt"), "small_inception_resnet", "class head")


def contents() -> dict[str, bytes]:
    """A whole file of each form, small; too small to be of any architecture."""
    state = {f"layer{i}.weight": torch.randn(50, 50) for i in range(4)}
    files = {"safetensors": safetensors.torch.save(state)}
    for form, new in (("zip", True), ("legacy", False)):
        torch.save(state, file := io.BytesIO(), _use_new_zipfile_serialization=new)
        files[form] = file.getvalue()
    files["pickle"] = pickle.dumps({name: tensor.numpy() for name, tensor in state.items()}, 2)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        add(tar, "resnet50_ft_dag/resnet50_ft_dag.pth", files["legacy"])
    return files | {"tar": file.getvalue()}


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy", "pickle", "tar"])
def test_a_file_that_is_cut_off_is_refused(form, tmp_path):
    whole = contents()[form]
    path = tmp_path / "weights"
    path.write_bytes(whole)
    refused(path, "resnet50", "missing")  # read to its end
    for length in (len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:length])
        refused(path, "resnet50", "cut off")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "HTML"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "Keras"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS"),
        (b"just a text", "accepted: safetensors"),
        (b"(" * 300, "cut off"),
    ],
)
def test_what_is_no_checkpoint_is_called_by_its_name(content, word, tmp_path):
    (path := tmp_path / "weights.pth").write_bytes(content)
    refused(path, "resnet50", word)


def test_absent_files_and_folders(tmp_path):
    refused(tmp_path / "absent.pt", "resnet50", "no such")
    refused(tmp_path, "resnet50", "folder")


# archives


def archive(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            add(tar, name, content)
    return path


@pytest.fixture(scope="module")
def tiny_bytes() -> bytes:
    return safetensors.torch.save(dict(tiny_state()))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_member_is_chosen_by_path_or_name(mode, tiny_bytes, tmp_path):
    other = safetensors.torch.save(dict(tiny_state(**{"fc.bias": torch.ones(CLASSES)})))
    path = archive(tmp_path / "both", {"a/first.pth": tiny_bytes, "b/second.pth": other, "b/._x.pth": b""}, mode)
    for member in ("a/first.pth", "first.pth", "first"):
        assert same(read_checkpoint(path, TINY, member), tiny_state())
    assert read_checkpoint(path, TINY, "second")["fc.bias"].eq(1).all()
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpacked
    refused(path, TINY, "a/first.pth, b/second.pth")
    refused(path, TINY, "third", "a/first.pth, b/second.pth", member="third")


def test_the_only_member_needs_no_name_and_twins_do(tiny_bytes, tmp_path):
    only = archive(tmp_path / "only", {"x/y.pth": tiny_bytes, "x/readme.txt": b"hello"})
    assert same(read_checkpoint(only, TINY), tiny_state())
    twins = archive(tmp_path / "twins", {"a/x.pth": tiny_bytes, "b/x.pth": tiny_bytes})
    refused(twins, TINY, "more than one", "a/x.pth, b/x.pth", member="x")
    refused(archive(tmp_path / "none", {"readme.txt": b""}), TINY, "accepted as `member`: none")


def test_links_and_nested_archives_are_refused(tiny_bytes, tmp_path):
    secret = tmp_path / "secret.pth"
    secret.write_bytes(tiny_bytes)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with tarfile.open(path := tmp_path / "links", "w") as tar:
            entry = tarfile.TarInfo("link.pth")
            entry.type, entry.linkname = kind, str(secret)
            tar.addfile(entry)
        refused(path, TINY, "link.pth", "link")
    inner = archive(tmp_path / "inner", {"x.pth": tiny_bytes})
    refused(archive(tmp_path / "outer", {"y.pth": inner.read_bytes()}), TINY, "y.pth", "accepted")


def test_a_member_of_something_else_than_an_archive_is_refused(tiny_bytes, tmp_path):
    (path := tmp_path / "weights").write_bytes(tiny_bytes)
    refused(path, TINY, "not an archive", member="x")


# files that attack


class Attack:
    """Runs a function when it is unpickled in the ordinary way."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def attacks(marker: Path) -> dict[str, Attack]:
    return {
        "system": Attack(os.system, f"touch {marker}"),
        "eval": Attack(eval, f"open({str(marker)!r}, 'w').close()"),
        "exec": Attack(exec, f"open({str(marker)!r}, 'w').close()"),
    }


@pytest.mark.parametrize("kind", ["system", "eval", "exec"])
@pytest.mark.parametrize("form", ["pickle", "pickle-0", "tar", "zip", "legacy"])
def test_a_file_that_tries_to_run_code_runs_nothing(form, kind, tmp_path):
    marker = tmp_path / "ran"
    attack = attacks(marker)[kind]
    pickle.loads(pickle.dumps(attack))
    assert marker.exists()  # the attack works
    marker.unlink()

    (path := tmp_path / "weights").write_bytes(attacking_file(form, {"conv1.weight": np.ones(2), "fc.bias": attack}))
    refused(path, "resnet50", "asks to run", "nothing was run", kind)
    assert not marker.exists()


def attacking_file(form: str, content: dict) -> bytes:
    if form in {"zip", "legacy"}:
        content = content | {"conv1.weight": torch.ones(2)}
        torch.save(content, file := io.BytesIO(), _use_new_zipfile_serialization=form == "zip")
        return file.getvalue()
    data = pickle.dumps(content, 0 if form == "pickle-0" else 2)
    if form != "tar":
        return data
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w:gz") as tar:
        add(tar, "resnet50_ft_dag/resnet50_ft_dag.pth", data)
    return file.getvalue()


@pytest.mark.parametrize(
    "name",
    ["builtins getattr", "numpy load", "numpy ndarray.tofile", "numpy.core.multiarray scalar", "torch load",
     "cloakbench.recognisers.checkpoints torch.load", "collections OrderedDict.__init__", "_codecs decode",
     "subprocess Popen"],
)  # fmt: skip
def test_only_the_names_of_arrays_are_admitted(name, tmp_path):
    parts = [b"\x8c" + bytes([len(part)]) + part.encode() for part in name.split()]
    (path := tmp_path / "weights").write_bytes(b"\x80\x04" + b"".join(parts) + b"\x93.")
    refused(path, "resnet50", name.replace(" ", "."), "nothing was run")


@pytest.mark.parametrize(
    "array", [np.array([{}], dtype=object), np.array(["x"]), np.zeros(2, "f4,i4"), np.zeros(2, "M8[s]")]
)
def test_arrays_of_anything_but_numbers_are_refused(array, tmp_path):
    (path := tmp_path / "weights").write_bytes(pickle.dumps({"conv1.weight": array}, 2))
    refused(path, "resnet50", "conv1.weight")


def test_an_array_that_claims_more_than_its_data_is_refused(tmp_path):
    data = pickle.dumps({"conv1.weight": np.zeros(3, np.float32)}, 2)
    (path := tmp_path / "weights").write_bytes(data.replace(b"K\x03\x85", b"K\xff\x85"))
    refused(path, "resnet50", "conv1.weight", "reshape")


# what training tools leave


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return architectures.build(TINY, CLASSES).state_dict()


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state().items()}


def floats(change) -> dict[str, torch.Tensor]:
    return {name: change(tensor) if tensor.is_floating_point() else tensor for name, tensor in state().items()}


def matrices(change) -> dict[str, torch.Tensor]:
    return {name: change(tensor) if tensor.ndim == 2 else tensor for name, tensor in state().items()}


LEFT_BY_TRAINING = {
    **{f"prefix {prefix}": prefixed(prefix) for prefix in ("_orig_mod.", "module._orig_mod.", "backbone.", "student.")},
    **{f"key {key}": {key: state(), "epoch": 3} for key in ("net", "ema", "teacher", "state_dict_ema", "params")},
    "the networks beside the usual one": {
        "model": state(),
        "ema": floats(torch.zeros_like),
        "optimizer": {"state": {}},
    },
    "in each other": {"checkpoint": {"state_dict": prefixed("model.backbone.")}},
    "a loss beside it": {"state_dict": prefixed("model.") | {"loss.weight": torch.ones(3)}},
    "numbers of numpy": {"state_dict": state(), "best_acc": np.float64(98.5), "epoch": np.int64(3)},
    "options": {"state_dict": state(), "args": argparse.Namespace(lr=0.1, root=Path("/data")), "at": defaultdict(list)},
    "bfloat16": floats(torch.Tensor.bfloat16),
    "float64": floats(torch.Tensor.double),
    "sparse": matrices(torch.Tensor.to_sparse),
    "parameters": floats(nn.Parameter),
    "quantised": {
        name: torch.quantize_per_tensor(tensor, 0.001, 0, torch.qint32) if tensor.ndim == 4 else tensor
        for name, tensor in state().items()
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", LEFT_BY_TRAINING)
def test_what_training_tools_leave_is_read(kind, tmp_path):
    torch.save(LEFT_BY_TRAINING[kind], tmp_path / "model_best.pth.tar")
    read = read_checkpoint(tmp_path / "model_best.pth.tar", TINY)
    assert list(read) == list(state())
    for name, tensor in state().items():
        torch.testing.assert_close(read[name], tensor, rtol=0.01, atol=0.002)


def zipped(name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def dumped(content: object) -> bytes:
    torch.save(content, file := io.BytesIO())
    return file.getvalue()


REFUSED = {
    "two networks": (
        dumped({"student": prefixed("module."), "teacher": state()}),
        "holds 2 networks, student.module and teacher; save",
    ),
    "a whole module": (
        dumped(nn.Linear(2, 2)),
        r"asks to run torch\.nn\.\S+, .* torch.save\(model.state_dict\(\), file\)",
    ),
    "no network": (dumped({"optimizer": {"state": {}}}), "optimizer is a dict, not a tensor"),
    "integers": (dumped(floats(lambda tensor: (100 * tensor).to(torch.int8))), "torch.int8 where floating numbers are"),
    "complex numbers": (dumped(matrices(lambda tensor: tensor.to(torch.complex64))), "torch.complex64 where floating"),
    "no numbers": (dumped(matrices(lambda tensor: tensor.to("meta"))), "fc.weight has a shape and no numbers"),
    "a page behind a mark": (b"\xef\xbb\xbf\n<!DOCTYPE html>", "an HTML page"),
    "an answer": (b'{"error": "Not Found"}', "JSON, not a checkpoint"),
    "an index": (b'{"weight_map": {"fc.weight": "model-00001-of-00002.safetensors"}}', "index of one in parts"),
    "a zip": (zipped("weights/best.pt", dumped(state())), "a zip of weights/best.pt; unpack it"),
    "a network": (zipped("best/constants.pkl", b""), "export it with torch.export"),
    "a program": (zipped("best/archive_format", b"pt2"), "use arch: torch_export"),
    "half a download": (dumped(state())[:100_000], "damaged or cut off; fetch it again"),
    "compressed": (gzip.compress(dumped(state())), "compressed, and no tar"),
    "packed": (b"Rar!\x1a\x07\x00", "a compressed file; unpack it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_read_says_what_would_do(kind, tmp_path):
    content, words = REFUSED[kind]
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_checkpoint(tmp_path / "weights.pt", TINY)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_one_part_of_several_is_called_so(tmp_path):
    part = dict(list(state().items())[:5])
    safetensors.torch.save_file(part, path := tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match=r"is missing, .*; a part of a checkpoint, join all parts into one file"):
        read_checkpoint(path, TINY)
