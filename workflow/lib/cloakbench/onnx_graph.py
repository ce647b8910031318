"""ONNX files as networks, run by ONNX Runtime: logits or embeddings, no gradients, on the CPU.

The file is one protobuf of ONNX's own operators. Tensors kept in other files and operators of other domains, which
would need a library from outside, are refused before ONNX Runtime sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cloakbench import packed
from cloakbench.errors import InputError

MODEL = "onnx"  # name of the tensor that holds the file
DOMAINS = {"", "ai.onnx"}
GROUP = "the packages onnx and onnxruntime are not installed: uv sync --group onnx"


def read(path: Path) -> dict[str, torch.Tensor]:
    """The model as a tensor of bytes. Raises InputError for what is damaged, not self-contained, or not plain ONNX."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(f"{path}: {GROUP}") from None
    try:
        model = onnx.load(path, load_external_data=False)
        _check(model)
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except DecodeError:
        raise InputError(f"{path}: not an ONNX file, or a damaged one") from None
    except (InputError, onnx.checker.ValidationError, ValueError) as error:
        raise InputError(f"{path}: {str(error).strip().splitlines()[0]}") from None
    return {MODEL: packed.to_tensor(model.SerializeToString(deterministic=True))}


def _check(model: Any) -> None:
    """Raises InputError for tensors in other files and for operators that are neither ONNX's nor the model's own."""
    own = {(function.domain, function.name) for function in model.functions}
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.data_location == message.EXTERNAL or message.external_data):
            raise InputError(f"its tensor {message.name} lies in another file; save the model as one file")
        if kind == "NodeProto" and message.domain not in DOMAINS and (message.domain, message.op_type) not in own:
            raise InputError(f"asks for {message.domain}.{message.op_type}, and only operators of ONNX itself are run")


def _messages(message: Any) -> Iterator[Any]:
    """The message and all inside it: graphs in loops, tensors in attributes, functions."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner)


class OnnxRuntime(nn.Module):
    """An ONNX network: (B, 3, H, W) -> its output, without a gradient."""

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
        self.given = given[0].name

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        if faces.requires_grad:
            raise InputError("an ONNX network has no gradients, so faces cannot be crafted on it; it can be a target")
        (answers,) = self.session.run(None, {self.given: np.ascontiguousarray(faces.cpu().numpy())})
        return torch.from_numpy(answers).to(faces.device)


def network(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The network of what `read` returned. Raises InputError where ONNX Runtime is missing or refuses it."""
    return OnnxRuntime(packed.to_bytes(tensors[MODEL]))
