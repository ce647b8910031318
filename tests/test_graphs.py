"""Networks that bring their own graph: the same answers as the original, and files that try more than to compute."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.files.seals import sha256
from cloakbench.files.tensors import load_tensors
from cloakbench.recognisers.convert import convert
from cloakbench.recognisers.foreign import graphs, onnx_graph, packed
from cloakbench.recognisers.foreign.operations import ADMITTED, admit
from cloakbench.recognisers.recogniser import load_recogniser, to_tensor
from cloakbench.study.config import refuse_torchscript
from conftest import snakemake

onnx = pytest.importorskip("onnx", reason="SKIPPED, NOTHING WAS CHECKED: uv sync --group onnx")
SIZE, CLASSES = 32, 7
ENTRY = {"head": "softmax", "mean": 127.5, "std": [128.0, 127.0, 126.0]}
BATCH = torch.export.Dim("batch")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Tiny(nn.Module):
    """Convolution, batch norm, a branch, a view by a size that is known only when it runs, and a class head."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 4 * 4, CLASSES)

    def forward(self, faces):
        x = torch.relu(self.norm(self.stem(faces)))
        x = nn.functional.max_pool2d(x + x.mean(dim=[2, 3], keepdim=True), 4)
        return self.head(x.reshape(x.shape[0], -1))


class Single(nn.Module):
    """The same for one face: the batch's size has become part of the graph."""

    def __init__(self, network: Tiny):
        super().__init__()
        self.network = network

    def forward(self, faces):
        x = self.network.norm(self.network.stem(faces)).relu()
        x = nn.functional.max_pool2d(x + x.mean(dim=[2, 3], keepdim=True), 4)
        return self.network.head(x.view(1, -1))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    network = Tiny().eval()
    nn.init.uniform_(network.norm.running_mean, -0.5, 0.5)
    nn.init.uniform_(network.norm.running_var, 0.5, 2)
    return network


def export(network: nn.Module, arch: str, path: Path, faces: int = 2, batch: object = BATCH) -> Path:
    example = torch.zeros(faces, 3, SIZE, SIZE)
    if arch == "torch_export":
        torch.export.save(torch.export.export(network, (example,), dynamic_shapes=({0: batch},)), path)
    else:
        onnx.save(onnx_model(network, "batch" if batch else faces), path)
    return path


def onnx_model(network: nn.Module, batch: object = "batch"):
    """Tiny in ONNX's own words."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items() if tensor.ndim}
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    tensors.append(onnx.numpy_helper.from_array(np.array([0, 96]), "flat"))
    norm = [f"norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    nodes = [
        make.make_node("Conv", ["faces", "stem.weight", "stem.bias"], ["a"], strides=[2, 2], pads=[1] * 4),
        make.make_node("BatchNormalization", ["a", *norm], ["b"], epsilon=1e-5),
        make.make_node("Relu", ["b"], ["c"]),
        make.make_node("GlobalAveragePool", ["c"], ["d"]),
        make.make_node("Add", ["c", "d"], ["e"]),
        make.make_node("MaxPool", ["e"], ["f"], kernel_shape=[4, 4], strides=[4, 4]),
        make.make_node("Reshape", ["f", "flat"], ["g"]),
        make.make_node("Gemm", ["g", "head.weight", "head.bias"], ["logits"], transB=1),
    ]
    given = make.make_tensor_value_info("faces", floats, [batch, 3, SIZE, SIZE])
    returned = make.make_tensor_value_info("logits", floats, [batch, CLASSES])
    graph = make.make_graph(nodes, "tiny", [given], [returned], tensors)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)


def converted(path: Path, arch: str, output: Path, **entry: object):
    model = {"arch": arch, **ENTRY, **entry}
    classes = [f"person {i}" for i in range(CLASSES)] if model["head"] == "softmax" else []
    convert(path, model, "any", classes, output, (SIZE, SIZE))
    return load_recogniser(model, output, None)


def refused(path: Path, arch: str, *words: str, **entry: object) -> None:
    output = path.with_name("converted.safetensors")
    with pytest.raises(InputError) as caught:
        converted(path, arch, output, **entry)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600, message
    assert all(word in message for word in (path.name, *words)), message
    assert not output.exists()


@pytest.fixture
def pictures(rng) -> np.ndarray:
    return rng.integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def normalised(pictures: np.ndarray) -> torch.Tensor:
    return ((to_tensor(pictures) - 127.5) / torch.tensor(ENTRY["std"]).reshape(1, 3, 1, 1)).contiguous()


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_the_logits_are_the_originals(arch, network, pictures, tmp_path):
    recogniser = converted(export(network, arch, tmp_path / "net"), arch, tmp_path / "w.safetensors")
    with torch.no_grad():
        found, expected = recogniser(to_tensor(pictures)), network(normalised(pictures))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert recogniser.classes == [f"person {i}" for i in range(CLASSES)]
    assert load_tensors(tmp_path / "w.safetensors")[1]["one_by_one"] is False


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_the_gradients_are_the_originals(arch, network, pictures, tmp_path):
    path = export(network, arch, tmp_path / "net")
    recogniser = converted(path, arch, tmp_path / "w.safetensors", source=True)
    faces = to_tensor(pictures).requires_grad_()
    (found,) = torch.autograd.grad(recogniser(faces).square().sum(), faces)
    shown = normalised(pictures).requires_grad_()
    (expected,) = torch.autograd.grad(network(shown).square().sum(), shown)
    torch.testing.assert_close(found, expected / torch.tensor(ENTRY["std"]).reshape(1, 3, 1, 1), rtol=1e-4, atol=1e-6)


def through(model, *operations: str):
    """The same network with a weight that passes through nodes before its layer has it."""
    names = ["stem.weight", *(f"passed {number}" for number in range(len(operations)))]
    for number, operation in enumerate(operations):
        model.graph.node.insert(number, onnx.helper.make_node(operation, [names[number]], [names[number + 1]]))
    model.graph.node[len(operations)].input[1] = names[-1]
    return model


def test_an_onnx_network_that_cannot_be_translated_is_a_target_only(network, tmp_path):
    (path := tmp_path / "net").write_bytes(through(onnx_model(network), "Neg", "Neg").SerializeToString())
    refused(path, "onnx", "cannot translate", "target and no source", source=True)
    converted(path, "onnx", tmp_path / "w.safetensors")


def test_a_shared_weight_is_translated(network, tmp_path):
    """torch.onnx writes an Identity node for each; an output that one names stays."""
    model = through(onnx_model(network), "Identity", "Identity")
    model.graph.node[-1].output[0] = "last"
    model.graph.node.append(onnx.helper.make_node("Identity", ["last"], ["logits"]))
    (path := tmp_path / "net").write_bytes(model.SerializeToString())
    assert converted(path, "onnx", tmp_path / "w.safetensors", source=True) is not None


def test_a_translation_that_answers_otherwise_is_refused(network, tmp_path, monkeypatch):
    translated = onnx_graph._translated

    def wrong(model: bytes) -> nn.Module:
        translation = translated(model)
        return nn.Sequential(translation, nn.Hardtanh(-0.1, 0.1))

    monkeypatch.setattr(onnx_graph, "_translated", wrong)
    refused(export(network, "onnx", tmp_path / "net"), "onnx", "answers otherwise", source=True)


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_a_network_for_one_face_is_shown_one_at_a_time(arch, network, pictures, tmp_path):
    path = export(network if arch == "onnx" else Single(network), arch, tmp_path / "net", faces=1, batch=None)
    recogniser = converted(path, arch, tmp_path / "w.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(recogniser(to_tensor(pictures)), network(normalised(pictures)), rtol=1e-5, atol=1e-5)
    assert load_tensors(tmp_path / "w.safetensors")[1]["one_by_one"] is True


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_the_same_file_converts_to_the_same_bytes(arch, network, tmp_path):
    path = export(network, arch, tmp_path / "net")
    for name in ("first", "second"):
        converted(path, arch, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def timm_network(name: str) -> nn.Module:
    import timm

    torch.manual_seed(1)
    return timm.create_model(name, num_classes=CLASSES).eval()


@pytest.mark.parametrize(
    ("name", "form"),
    [("edgenext_xx_small", "export"), ("test_efficientnet", "export"), ("test_vit", "core"), ("test_resnet", "core")],
)  # fmt: skip
def test_networks_of_timm_pass_in_every_form(name, form, tmp_path):
    network, path = timm_network(name), tmp_path / "net"
    faces = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(network, (faces,), dynamic_shapes=({0: BATCH},))
    torch.export.save(program.run_decompositions() if form == "core" else program, path)
    found = graphs.build("torch_export", graphs.FORMS["torch_export"].read(path), one_by_one=False)
    more = torch.cat([faces, faces.flip(0), faces[:1]])
    with torch.no_grad():
        torch.testing.assert_close(found(more), network(more), rtol=1e-4, atol=1e-4)
    assert graphs.tried(found, more[:3], gradients=True) == (CLASSES, False)


# networks that are not what they should be


class Changed(Tiny):
    """Tiny whose answer is changed by a function."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, faces):
        return self.change(super().forward(faces))


WRONG = {
    "two outputs": (lambda y: (y, y), "returns"),
    "one row a number": (lambda y: y[:, :, None], "returns (1, 7, 1)"),
    "infinite": (lambda y: y / torch.zeros_like(y), "not all finite"),
    "of the batch": (lambda y: y - y.mean(dim=0, keepdim=True) * 0.5, "other faces of the batch"),
    "another at each call": (lambda y: y + torch.rand_like(y), "rand_like"),
    "a gradient of nothing": (lambda y: y.round(), "no gradient"),
    "no way back": (lambda y: y.argsort(dim=1).to(torch.float32), "no gradient"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_network_that_does_not_answer_face_by_face_is_refused(wrong, tmp_path):
    torch.manual_seed(3)
    change, word = WRONG[wrong]
    refused(export(Changed(change).eval(), "torch_export", tmp_path / "net"), "torch_export", word)


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_another_crop_or_class_list_is_refused(arch, network, tmp_path):
    path = export(network, arch, tmp_path / "net")
    with pytest.raises(InputError, match=r"net: does not take 1 x 3 x 48 x 48 faces of its crop's size"):
        convert(path, {"arch": arch, **ENTRY}, "any", ["a"] * CLASSES, tmp_path / "w", (48, 48))
    with pytest.raises(InputError, match=r"net: its head has 7 units, the class list 2 identities"):
        convert(path, {"arch": arch, **ENTRY}, "any", ["a", "b"], tmp_path / "w", (SIZE, SIZE))
    with pytest.raises(InputError, match="another file, or a damaged one"):
        convert(path, {"arch": arch, **ENTRY}, "0" * 64, ["a"] * CLASSES, tmp_path / "w", (SIZE, SIZE))
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("arch", graphs.FORMS)
def test_a_damaged_file_is_refused(arch, network, tmp_path):
    path = export(network, arch, tmp_path / "net")
    whole = path.read_bytes()
    for content in (b"", b"<html>", whole[: len(whole) // 2], whole[:-300]):
        path.write_bytes(content)
        refused(path, arch)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        graphs.FORMS[arch].read(path)


# files that attack


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def repacked(path: Path, change) -> Path:
    """The archive after `change` on its records, by their names without the folder."""
    records = packed.read_records(path)
    change(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(f"net/{name}", data)
    return path


def edited(path: Path, record: str, change) -> Path:
    """The archive after `change` on a record of JSON."""

    def edit(records):
        content = json.loads(records[record])
        change(content)
        records[record] = json.dumps(content).encode()

    return repacked(path, edit)


GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


def test_a_pickled_weight_of_torch_export_is_refused(network, tmp_path):
    marker, path = tmp_path / "ran", export(network, "torch_export", tmp_path / "net")
    edited(path, WEIGHTS, lambda config: config["config"]["head.bias"].update(use_pickle=True, path_name="evil"))
    torch.save(Attack(marker), file := io.BytesIO())
    repacked(path, lambda records: records.update({"data/weights/evil": file.getvalue()}))
    with warnings.catch_warnings(), pytest.raises(Exception):  # noqa: B017
        warnings.simplefilter("ignore")
        torch.export.load(path)
    assert marker.exists()  # the attack works on torch's own reader
    marker.unlink()
    refused(path, "torch_export", "head.bias", "pickled", "nothing was run")
    assert not marker.exists()


def test_what_torch_evaluates_of_an_export_is_not_even_read(network, pictures, tmp_path):
    """Sample inputs are unpickled, guards and symbolic sizes evaluated by torch's own reader."""
    marker, path = tmp_path / "ran", export(network, "torch_export", tmp_path / "net")
    code = f"__import__('os').system('touch {marker}')"

    def spoil(program):
        program["guards_code"] = [code]
        program["range_constraints"] = {code: {"min_val": 0, "max_val": None}}
        for meta in program["graph_module"]["graph"]["tensor_values"].values():
            meta["sizes"] = [{"as_expr": {"expr_str": code, "hint": None}}]

    edited(path, GRAPH, spoil)
    torch.save(Attack(marker), file := io.BytesIO())
    repacked(path, lambda records: records.update({"data/sample_inputs/model.pt": file.getvalue()}))
    recogniser = converted(path, "torch_export", tmp_path / "w.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(recogniser(to_tensor(pictures)), network(normalised(pictures)), rtol=1e-5, atol=1e-5)
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.from_file.default", "torch.ops.aten.save.default", "os.system", "torch.ops.aten.relu.__class__",
     "_operator.methodcaller", "torch.ops.custom.relu.default", "torch.ops.aten.relu.nothing", "builtins.eval",
     "torch.ops.higher_order.cond"],
)  # fmt: skip
def test_exported_operations_that_do_more_than_compute_are_refused(target, network, tmp_path):
    path = export(network, "torch_export", tmp_path / "net")
    edited(path, GRAPH, lambda program: program["graph_module"]["graph"]["nodes"][2].update(target=target))
    refused(path, "torch_export", target.removeprefix("torch.ops.aten.").split(".")[0], "nothing was run")


def test_exported_tensors_stay_within_their_bytes(network, tmp_path):
    path = export(network, "torch_export", tmp_path / "net")
    edited(
        path, WEIGHTS, lambda config: config["config"]["head.bias"]["tensor_meta"].update(sizes=[{"as_int": 1 << 20}])
    )
    refused(path, "torch_export", "damaged or of another form")


def test_a_short_weight_is_not_read_beyond_its_end(tmp_path):
    program = torch.export.export(timm_network("test_resnet"), (torch.zeros(2, 3, 64, 64),)).run_decompositions()
    torch.export.save(program, path := tmp_path / "net")
    names = json.loads(packed.read_records(path)[WEIGHTS])["config"]
    mean = next(name for name in names if name.endswith("running_mean"))
    edited(path, WEIGHTS, lambda config: config["config"][mean]["tensor_meta"].update(sizes=[{"as_int": 1}]))
    network = graphs.build("torch_export", graphs.FORMS["torch_export"].read(path), one_by_one=False)
    with pytest.raises(RuntimeError, match="running_mean should contain"):
        network(torch.zeros(2, 3, 64, 64))


def test_another_graph_format_is_refused(network, tmp_path):
    path = export(network, "torch_export", tmp_path / "net")
    edited(path, GRAPH, lambda program: program["schema_version"].update(major=9))
    refused(path, "torch_export", "format 9", "export it again")


def test_onnx_tensors_in_other_files_are_not_followed(network, tmp_path):
    path = tmp_path / "net"
    onnx.save(onnx_model(network), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    refused(path, "onnx", "another file")
    model = onnx_model(network)
    tensor = model.graph.initializer[0]
    tensor.external_data.add(key="location", value="../../etc/passwd")
    tensor.data_location = tensor.EXTERNAL
    inner = onnx.helper.make_node("Constant", [], ["z"], value=tensor)
    model = onnx_model(network)
    model.graph.node.insert(0, inner)  # hidden in an attribute
    path.write_bytes(model.SerializeToString())
    refused(path, "onnx", tensor.name, "another file")


def test_onnx_operators_of_other_domains_are_refused(network, tmp_path):
    model = onnx_model(network)
    model.graph.node[2].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    (path := tmp_path / "net").write_bytes(model.SerializeToString())
    refused(path, "onnx", "com.example.Relu")


def test_onnx_functions_become_operators_of_onnx(network, pictures, tmp_path):
    """Functions of the model's own are unfolded; one called Save must not become torch's."""
    make = onnx.helper
    body = [make.make_node("Relu", ["x"], ["y"])]
    own = make.make_function("own", "Save", ["x"], ["y"], body, [make.make_opsetid("", 17)])
    model = onnx_model(network)
    model.functions.append(own)
    model.opset_import.add(domain="own", version=1)
    model.graph.node[2].op_type, model.graph.node[2].domain = "Save", "own"
    (path := tmp_path / "net").write_bytes(model.SerializeToString())
    recogniser = converted(path, "onnx", tmp_path / "w.safetensors", source=True)
    with torch.no_grad():
        torch.testing.assert_close(recogniser(to_tensor(pictures)), network(normalised(pictures)), rtol=1e-5, atol=1e-5)
    model.functions[0].node[0].op_type = "Save"
    path.write_bytes(model.SerializeToString())
    refused(path, "onnx", "Save")


def test_without_onnx_runtime_the_group_is_named(network, tmp_path, monkeypatch):
    path = export(network, "onnx", tmp_path / "net")
    for package in ("onnx", "onnxruntime", "onnx2pytorch"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            refused(path, "onnx", "uv sync --group onnx", source=True)


def test_operations_are_known_by_their_whole_name():
    for name in ("aten::relu", "aten::relu_"):
        admit(name)
    for name in (
        "aten::If",
        "prim::If",
        "prim::relu",
        "relu",
        "::relu",
        "aten::",
        "quantized::conv2d",
        "prim::PythonOp",
    ):
        with pytest.raises(InputError, match="asks for"):
            admit(name)
    harmful = {"from_file", "save", "set_", "set_data", "_sparse_coo_tensor_unsafe", "manual_seed", "rand", "empty"}
    harmful |= {
        "native_batch_norm",
        "_native_batch_norm_legit_no_training",
        "_reshape_alias",
    }  # read where they should not
    assert not harmful & ADMITTED


def test_every_admitted_operation_exists():
    """A misspelt name would admit nothing and be missed by nobody."""
    known = {name.removeprefix("aten::").partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    assert set(ADMITTED) <= known


# the workflow

STUDY = """
study: graphs
dataset: {{identities: 5, subjects: 2, enrol: 2}}
matrix: {{source: [exported, onnx], attack: [bim], eps: [8], target: [exported, onnx]}}
top_k: [1, 2]
models:
  exported:
    {{arch: torch_export, weights: torch_export, sha256: {sha256}, head: gallery, crop: tight32, mean: 127.5, std: 128}}
  onnx: {{arch: onnx, weights: onnx, head: gallery, crop: tight32, mean: 127.5, std: 128}}
crops: {{tight32: {{size: 32, margin: 0}}}}
gate: {{clean_top1: 0}}
compute: {{device: cpu, batch: 2}}
"""


def test_a_study_of_one_network_in_two_forms_says_the_same_twice(network, tmp_path):
    for arch in graphs.FORMS:
        export(network, arch, tmp_path / arch)
    (tmp_path / "study.yaml").write_text(STUDY.format(sha256=sha256(tmp_path / "torch_export")))
    done = snakemake(tmp_path, "--cores", 2, "--configfile", tmp_path / "study.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/graphs"
    names = ("exported", "onnx")
    first, *others = (np.load(results / f"crafted/{source}/bim/eps8.npy").astype(int) for source in names)
    assert 0 < np.abs(first - np.load(results / "subjects/tight32.npy")).max() <= 8
    for other in others:
        assert (first != other).mean() < 0.01  # where a gradient is next to nothing its sign is chance
    for cell in ("onnx/bim/eps8/jpeg75", "exported/clean/eps0/jpeg75"):
        ranks = [pd.read_csv(results / f"ranks/{cell}/{target}.csv") for target in names]
        for other in ranks[1:]:
            assert ranks[0].drop(columns="target").equals(other.drop(columns="target"))
    provenance = json.loads((results / "provenance.json").read_text())
    assert provenance["weights"]["onnx"]["checkpoint"] == {"file": "onnx", "sha256": sha256(tmp_path / "onnx")}


def test_a_network_that_was_torchscript_is_read_once_it_is_exported_as_advised(tmp_path):
    """The line is followed to the letter, with the crop's size."""
    config = {"models": {"mine": {"arch": "torchscript"}}}
    with pytest.raises(InputError) as refused:
        refuse_torchscript(config["models"])
    advised = re.search(r"(torch\.export\.save\(.*'model\.pt2'\)), and use arch: (\w+)", str(refused.value))
    command = advised[1].replace("SIZE", str(SIZE)).replace("model.pt2", str(tmp_path / "model.pt2"))
    torch.manual_seed(3)
    exec(command, {"torch": torch, "model": Tiny()})
    assert converted(tmp_path / "model.pt2", advised[2], tmp_path / "w") is not None
