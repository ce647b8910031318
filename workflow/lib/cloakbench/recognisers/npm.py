"""Weights that an npm package brings for TensorFlow.js, read as what they are: a list in JSON and numbers in a row.

`<model>-weights_manifest.json` is a list of groups, each with `paths`, the files whose bytes follow one another, and
`weights`: name, shape and dtype of its tensors in their order. A tensor with a `quantization` is stored as uint8 or
uint16 and means stored * scale + min, or is stored as float16.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.files.tensors import save_tensors
from cloakbench.recognisers.architectures import build

ARCH, WIDTH = "dlib_resnet", 128  # numbers of an embedding
MODEL = "face_recognition_model"
AGAIN = "unpack the package @vladmandic/face-api anew"
STORED = {"float32": "<f4", "float16": "<f2", "uint8": "<u1", "uint16": "<u2"}


def convert_npm(folder: Path, output: Path) -> dict[str, str]:
    """Write dlib's ResNet out of an unpacked @vladmandic/face-api as a state dict of `dlib_resnet`, safetensors.

    folder: the package's, or its folder `model`. Returns the sha256 of each file of numbers by its name; they and the
    package's version are written beside the tensors, too.
    Raises InputError for files that are absent, damaged or another network's.
    """
    manifest = _manifest(folder)
    tensors, digests = read_manifest(manifest)
    state = _state(tensors, manifest)
    save_tensors(output, state, package=_package(manifest.parent), files=digests, arch=ARCH)
    return digests


def read_manifest(manifest: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every tensor of a manifest by its name, in float64 and the order of TensorFlow's axes; the sha256 of its files.

    Raises InputError unless manifest and files fit to the byte.
    """
    tensors: dict[str, np.ndarray] = {}
    digests: dict[str, str] = {}
    for group in _groups(manifest):
        entries = [_entry(entry, manifest) for entry in group["weights"]]
        needed = sum(math.prod(shape) * stored.itemsize for _, shape, stored, _ in entries)
        data = _bytes(manifest, group["paths"], needed, digests)
        start = 0
        for name, shape, stored, (scale, least) in entries:
            if name in tensors:
                raise InputError(f"{manifest}: names {name} twice; {AGAIN}")
            values = np.frombuffer(data, stored, math.prod(shape), start).astype(np.float64) * scale + least
            if not np.isfinite(values).all():
                raise InputError(f"{manifest}: {name}: NaN or infinity among its numbers; {AGAIN}")
            tensors[name] = values.reshape(shape)
            start += values.size * stored.itemsize
    return tensors, digests


def _manifest(folder: Path) -> Path:
    name = f"{MODEL}-weights_manifest.json"
    for place in (folder, folder / "model"):
        if (place / name).is_file():
            return place / name
    what = "no such folder" if not folder.is_dir() else f"neither here nor in model/ lies {name}"
    raise InputError(f"{folder}: {what}; give the folder of the unpacked package @vladmandic/face-api")


def _groups(manifest: Path) -> list[dict[str, Any]]:
    try:
        groups = json.loads(manifest.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{manifest}: not JSON ({str(error).splitlines()[0]}); {AGAIN}") from None
    whole = isinstance(groups, list) and groups
    if not whole or not all(isinstance(group, dict) and _lists(group, "weights", "paths") for group in groups):
        raise InputError(f"{manifest}: no list of groups of weights and paths, as TensorFlow.js has it; {AGAIN}")
    return groups


def _lists(group: Mapping, *keys: str) -> bool:
    return all(isinstance(group.get(key), list) for key in keys)


def _entry(entry: Any, manifest: Path) -> tuple[str, tuple[int, ...], np.dtype, tuple[float, float]]:
    """A tensor's name, shape, how it is stored, and the factor and summand that its numbers need."""
    try:
        name, shape, quantised = entry["name"], entry["shape"], entry.get("quantization")
        stored = (quantised or entry)["dtype"]
        scaled = stored.startswith("uint")
        factors = (float(quantised["scale"]), float(quantised["min"])) if scaled else (1.0, 0.0)
        known = entry["dtype"] == "float32" and STORED[stored] and isinstance(name, str)
        if (
            not known
            or not all(map(math.isfinite, factors))
            or not all(type(length) is int and length > 0 for length in shape)
        ):
            raise ValueError
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        kinds = ", ".join(STORED)
        raise InputError(f"{manifest}: no tensor of {kinds} is {json.dumps(entry)[:120]}; {AGAIN}") from None
    return name, tuple(shape), np.dtype(STORED[stored]), factors


def _bytes(manifest: Path, paths: list[Any], needed: int, digests: dict[str, str]) -> bytes:
    """What the files hold, one after the other; they lie beside the manifest, and nothing else is opened."""
    parts = []
    for path in paths:
        if not isinstance(path, str) or Path(path).name != path or "\0" in path:
            raise InputError(f"{manifest}: {json.dumps(path)[:80]} is no name of a file beside it; {AGAIN}")
        try:
            parts.append((manifest.parent / path).read_bytes())
        except OSError as error:
            raise InputError(f"{manifest.parent / path}: cannot be read ({error.strerror}); {AGAIN}") from None
        digests[path] = hashlib.sha256(parts[-1]).hexdigest()
    data = b"".join(parts)
    if len(data) != needed:
        files = ", ".join(map(str, paths)) or "no file"
        held = f"{files} of {len(data)} bytes where its tensors take {needed}"
        raise InputError(f"{manifest}: {held}: cut off, or of another version; {AGAIN}")
    return data


def _state(tensors: dict[str, np.ndarray], manifest: Path) -> dict[str, torch.Tensor]:
    """The tensors as the network has them. A scale layer, y = w x + b after the convolution, is multiplied into it."""
    with torch.device("meta"):  # shapes without memory
        network = build(ARCH, WIDTH)
    left, state = dict(tensors), {}

    def take(name: str, *shape: int) -> np.ndarray:
        if name not in left:
            raise InputError(f"{manifest}: {name} is missing, which {ARCH} needs; {AGAIN}")
        if left[name].shape != shape:
            found, needed = (" x ".join(map(str, lengths)) for lengths in (left[name].shape, shape))
            raise InputError(f"{manifest}: {name} is {found}, {ARCH} needs {needed}; {AGAIN}")
        return left.pop(name)

    for layer, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            name, (outputs, *rest) = layer.replace(".", "/"), module.weight.shape
            filters = take(f"{name}/conv/filters", *rest[1:], rest[0], outputs).transpose(3, 2, 0, 1)
            factor, summand = take(f"{name}/scale/weights", outputs), take(f"{name}/scale/biases", outputs)
            state[f"{layer}.weight"] = filters * factor[:, None, None, None]
            state[f"{layer}.bias"] = take(f"{name}/conv/bias", outputs) * factor + summand
    state["fc.weight"] = take("fc", *reversed(network.fc.weight.shape)).T
    if left:
        raise InputError(f"{manifest}: {next(iter(left))} is unexpected, {ARCH} has no such tensor; {AGAIN}")
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in state.items()}


def _package(folder: Path) -> str:
    """Name and version of the package that a folder belongs to, as far as it says."""
    for place in (folder, folder.parent):
        try:
            about = json.loads((place / "package.json").read_bytes())
            return f"{about['name']}@{about['version']}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return "unknown"
