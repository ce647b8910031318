"""A network that is a list of operations and their tensors, as torch.export writes it: walked, never compiled.

The graph is plain data: {"input": name, "output": name, "nodes": [{"target": "torch.ops.aten.relu.default", "inputs":
[{"name": "self", "arg": {"as_tensor": {"name": "x"}}}], "outputs": [{"as_tensor": {"name": "y"}}]}]}.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers.foreign.operations import admit

ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
ARITHMETIC: dict[str, Callable] = {
    f"_operator.{name}": getattr(operator, name)
    for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge")
}  # on sizes
# numbers of the format's enumerations
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
CONSTANTS: dict[str, dict[int, Any]] = {
    "as_scalar_type": DTYPES,
    "as_memory_format": {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format},
    "as_layout": {7: torch.strided},
}


def _batch_norm(input, weight, bias, running_mean, running_var, momentum, eps):
    """As the core operator, which a decomposed export has and which does not check the length of what it gets."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps), None, None


CHECKED: dict[str, Callable] = {"torch.ops.aten._native_batch_norm_legit_no_training.default": _batch_norm}


class Exported(nn.Module):
    """An exported network: (B, 3, H, W) -> its output, one operation after the other."""

    def __init__(self, graph: Mapping, tensors: Mapping[str, torch.Tensor]):
        """Raises InputError for an operation that is not one on numbers."""
        super().__init__()
        self.input, self.output = graph["input"], graph["output"]
        self.steps = [(_operation(node["target"]), node) for node in graph["nodes"] if not _is_check(node["target"])]
        self.names = list(tensors)
        for number, name in enumerate(self.names):
            self.register_buffer(f"tensor{number}", tensors[name])
        last = {name: i for i, (_, node) in enumerate(self.steps) for name in _mentioned(node["inputs"])}
        last.pop(self.output, None)
        self.spent = [[name for name, step in last.items() if step == i] for i in range(len(self.steps))]

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        values: dict[str, Any] = {name: getattr(self, f"tensor{i}") for i, name in enumerate(self.names)}
        values[self.input] = faces.contiguous()
        for number, (operation, node) in enumerate(self.steps):
            arguments = {given["name"]: _value(given["arg"], values, faces.device) for given in node["inputs"]}
            plain = node["target"] in ARITHMETIC
            result = operation(*arguments.values()) if plain else operation(**arguments)
            values |= _results(node["outputs"], result)
            for name in self.spent[number]:
                values.pop(name, None)  # as Python frees what a forward no longer needs
        return values[self.output]


def _is_check(target: str) -> bool:
    """Assertions about shapes and devices compute nothing, and would refuse another device than the exporter's."""
    return target.startswith("torch.ops.aten._assert_") or "sym_constrain_range" in target


def _operation(target: str) -> Callable:
    if target in ARITHMETIC:
        return ARITHMETIC[target]
    if target in CHECKED:
        return CHECKED[target]
    found = ATEN.fullmatch(target)
    admit(f"aten::{found[1]}" if found else target)
    operation = getattr(getattr(torch.ops.aten, found[1], None), found[2], None)
    if not isinstance(operation, torch._ops.OpOverload):
        raise InputError(f"asks for {target}, which this torch does not have; nothing was run")
    return operation


def _mentioned(content: Any) -> set[str]:
    """The values that arguments name, wherever they are nested."""
    if isinstance(content, list):
        return set().union(*map(_mentioned, content))
    if not isinstance(content, dict):
        return set()
    own = {content[key] for key in ("name", "as_name") if isinstance(content.get(key), str)}
    return own.union(*map(_mentioned, content.values()))


def _value(argument: Mapping, values: Mapping[str, Any], device: torch.device) -> Any:
    """What an argument of the graph stands for: {"as_tensor": {"name": "x"}}, {"as_ints": [2, 2]}, ..."""
    ((kind, content),) = argument.items()
    match kind:
        case "as_none":
            return None
        case "as_int" | "as_ints" | "as_bool" | "as_bools" | "as_string":
            return content
        case "as_float":
            return float(content)  # JSON has no infinity: it is written as text
        case "as_floats":
            return [float(number) for number in content]
        case "as_name":
            return values[content]
        case "as_tensor":
            return values[content["name"]]
        case "as_tensors":
            return [values[item["name"]] for item in content]
        case "as_optional_tensor" | "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _value(content, values, device)
        case "as_optional_tensors" | "as_sym_ints" | "as_sym_floats":
            return [_value(item, values, device) for item in content]
        case "as_device":
            return device  # where the exporter computed does not matter
    if content in CONSTANTS.get(kind, ()):
        return CONSTANTS[kind][content]
    raise InputError(f"has an argument of kind {kind} ({content}), which no network on numbers needs")


def _results(outputs: list[Mapping], result: Any) -> dict[str, Any]:
    """What an operation returned, by the names that the graph gives it."""
    if len(outputs) != 1:
        parts = zip(outputs, result, strict=True) if outputs else ()
        return {name: value for output, part in parts for name, value in _results([output], part).items()}
    ((kind, content),) = outputs[0].items()
    if kind == "as_none":
        return {}
    if kind == "as_tensors":
        return {item["name"]: part for item, part in zip(content, result, strict=True)}
    return {content.get("name") or content["as_name"]: result}
