"""ONNX files as networks: answers by ONNX Runtime, on the CPU; gradients by onnx2pytorch's translation to torch.

The file is one protobuf of ONNX's own operators. Tensors kept in other files and operators of other domains, which
would need a library from outside, are refused before any of the two sees it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers.foreign import packed

MODEL = "onnx"  # name of the tensor that holds the file
UNTRANSLATED = "onnx2pytorch cannot translate it, so it can be a target and no source; export it with torch.export"
DOMAINS = {"", "ai.onnx"}
GROUP = "the packages onnx, onnxruntime and onnx2pytorch are not installed: uv sync --group onnx"


def read(path: Path) -> dict[str, torch.Tensor]:
    """The model as a tensor of bytes. Raises InputError for what is damaged, not self-contained, or not plain ONNX."""
    try:
        import onnx
        import onnx.inliner
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(f"{path}: {GROUP}") from None
    try:
        model = onnx.load(path, load_external_data=False)
        _check_tensors(model)
        onnx.checker.check_model(model)  # that every operator of ONNX's domain is one, too
        model = onnx.inliner.inline_local_functions(model)
        _check_operators(model)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except DecodeError:
        raise InputError(f"{path}: not an ONNX file, or a damaged one") from None
    except (InputError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: {str(error).strip().splitlines()[0]}") from None
    return {MODEL: packed.to_tensor(model.SerializeToString(deterministic=True))}


def _check_tensors(model: Any) -> None:
    for message in _messages(model, "TensorProto"):
        if message.data_location == message.EXTERNAL or message.external_data:
            raise InputError(f"its tensor {message.name} lies in another file; save the model as one file")


def _check_operators(model: Any) -> None:
    for message in _messages(model, "NodeProto"):
        if message.domain not in DOMAINS:
            raise InputError(f"asks for {message.domain}.{message.op_type}, and only operators of ONNX itself are run")


def _messages(message: Any, kind: str) -> Iterator[Any]:
    """All messages of a kind in a message: in graphs, in loops, in attributes, in functions."""
    if message.DESCRIPTOR.name == kind:
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner, kind)


class Onnx(nn.Module):
    """An ONNX network: (B, 3, H, W) -> its output; where a gradient is wanted, the translation's."""

    def __init__(self, model: bytes):
        """Raises InputError if ONNX Runtime does not take it."""
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise InputError(GROUP) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what matters is raised
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has an exception a kind of failure, of no common base
            raise InputError(f"is not taken by ONNX Runtime ({str(error).strip().splitlines()[0]})") from None
        given, returned = self.session.get_inputs(), self.session.get_outputs()
        if len(given) != 1 or len(returned) != 1 or given[0].type != "tensor(float)":
            raise InputError(f"has {len(given)} inputs and {len(returned)} outputs, one each of floats is what is run")
        self.given, self.model = given[0].name, model
        self.translation: nn.Module | None = None

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        if faces.requires_grad:
            self.translation = self.translation or _translated(self.model)
            return self.translation.to(faces.device)(faces.contiguous())
        (answers,) = self.session.run(None, {self.given: np.ascontiguousarray(faces.cpu().numpy())})
        return torch.from_numpy(answers).to(faces.device)


def _translated(model: bytes) -> nn.Module:
    """The same network in torch. Raises InputError for one that onnx2pytorch does not know how to build."""
    try:
        import onnx
        from onnx2pytorch import ConvertModel
    except ImportError:
        raise InputError(GROUP) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of batches: whether they work is tried
            translation = ConvertModel(without_identities(onnx.load_from_string(model)), experimental=True)
    except Exception as error:  # its errors have no common base
        raise InputError(f"{UNTRANSLATED} ({type(error).__name__}: {error})") from None
    return translation.eval().requires_grad_(False)


def without_identities(model: Any) -> Any:
    """The same network without its Identity nodes, but for those that name an output.

    torch.onnx writes one for each weight that two layers share, and onnx2pytorch takes a layer's weights from where the
    node itself points: with them it translates 5 of 23 exports of common networks, without them 20.
    """
    graph = model.graph
    outputs = {output.name for output in graph.output}
    passed = [node for node in graph.node if node.op_type == "Identity" and node.output[0] not in outputs]
    origin = {node.output[0]: node.input[0] for node in passed}

    def traced(name: str) -> str:
        return traced(origin[name]) if name in origin else name

    for node in passed:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = map(traced, node.input)
    return model


def network(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The network of what `read` returned. Raises InputError where ONNX Runtime is missing or refuses it."""
    return Onnx(packed.to_bytes(tensors[MODEL]))
