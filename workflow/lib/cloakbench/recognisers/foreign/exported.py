"""torch.export files as networks: a list of operations and their weights, walked by a small interpreter of our own.

`torch.export.load` is not used: for weights of some kinds, objects and symbolic sizes it unpickles and evaluates what
the file holds. The file itself is plain, a JSON graph and raw numbers, and of that nothing else is read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers.foreign import packed
from cloakbench.recognisers.foreign.interpreter import DTYPES, Exported

GRAPH, TENSOR = "torch_export", "tensor."  # name of the tensor that holds the graph; prefix of those it works with
MAJOR = 8  # version of the graph's format
RESAVE = "export it again with torch.export.save of this torch, in eval mode"


def read(path: Path) -> dict[str, torch.Tensor]:
    """The graph, as a tensor of bytes, and its weights. Raises InputError for what is not such a file."""
    records = packed.read_records(path)
    models = [name for name in records if re.fullmatch(r"models/[^/]+\.json", name)]
    if len(models) != 1:
        raise InputError(f"{path}: not one network as torch.export.save writes it today; {RESAVE}")
    try:
        return _read(records, models[0])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # whatever a graph of another form makes of the lines below
        raise InputError(f"{path}: damaged or of another form ({type(error).__name__}: {error}); {RESAVE}") from None


def _read(records: Mapping[str, bytes], model: str) -> dict[str, torch.Tensor]:
    program, name = json.loads(records[model]), model.removeprefix("models/").removesuffix(".json")
    if program["schema_version"]["major"] != MAJOR:
        raise InputError(f"a graph of format {program['schema_version']['major']}, {MAJOR} is read; {RESAVE}")
    module = program["graph_module"]
    held: dict[str, torch.Tensor] = {}
    for kind, folder in (("weights", "data/weights"), ("constants", "data/constants")):
        config = json.loads(records[f"{folder}/{name}_{kind}_config.json"])
        for tensor, payload in config["config"].items():
            held[tensor] = _tensor(tensor, payload, records[f"{folder}/{payload['path_name']}"])
    tensors, given = _inputs(module["signature"]["input_specs"], held)
    nodes = [{key: node[key] for key in ("target", "inputs", "outputs")} for node in module["graph"]["nodes"]]
    graph = {"input": given, "output": _output(module["signature"]["output_specs"]), "nodes": nodes}
    kept = {f"{TENSOR}{key}": value for key, value in tensors.items()}
    return kept | {GRAPH: packed.to_tensor(json.dumps(graph).encode())}


def _inputs(specs: list[Mapping], held: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors under the names that the graph has for them, and its name of the faces."""
    tensors, given = {}, []
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind == "user_input":
            given.append(content["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            tensors[content["arg"]["name"]] = held[content[f"{kind}_name"]]
        else:
            raise InputError(f"has an input of kind {kind}; {RESAVE}")
    if len(given) != 1:
        raise InputError(f"takes {len(given)} inputs, one batch of faces is what it gets")
    return tensors, given[0]


def _output(specs: list[Mapping]) -> str:
    kinds = [next(iter(spec)) for spec in specs]
    if changed := [kind for kind in kinds if kind != "user_output"]:
        raise InputError(f"changes its own state or its input ({changed[0]}); {RESAVE}")
    if len(kinds) != 1 or "as_tensor" not in specs[0]["user_output"]["arg"]:
        raise InputError("returns more than one tensor; export a network that returns (B, C) and nothing else")
    return specs[0]["user_output"]["arg"]["as_tensor"]["name"]


def _tensor(name: str, payload: Mapping, data: bytes) -> torch.Tensor:
    if payload["use_pickle"]:
        raise InputError(f"{name} is pickled, and a network may hold plain numbers only; nothing was run")
    meta = payload["tensor_meta"]
    sizes, strides = ([number["as_int"] for number in meta[key]] for key in ("sizes", "strides"))
    if 0 in sizes:
        return torch.zeros(sizes, dtype=DTYPES[meta["dtype"]])
    flat = torch.frombuffer(bytearray(data), dtype=DTYPES[meta["dtype"]])
    return flat.as_strided(sizes, strides, meta["storage_offset"]["as_int"]).clone(
        memory_format=torch.contiguous_format
    )


def network(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The network of what `read` returned. Raises InputError for an operation that is not one on numbers."""
    held = {name.removeprefix(TENSOR): tensor for name, tensor in tensors.items() if name.startswith(TENSOR)}
    return Exported(json.loads(packed.to_bytes(tensors[GRAPH])), held)
