"""Recogniser weights in every form they are published in, read without running anything that a file holds.

Every form becomes a float32 state dict in the naming of `architectures.build`, for RGB input. Which form it
is shows in the file's first bytes; its name is used for nothing but error messages.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch

from cloakbench import architectures
from cloakbench.errors import InputError
from cloakbench.unpickler import ArrayUnpickler, ForbiddenError, PickledArray

ACCEPTED = "accepted: safetensors, a PyTorch state dict (.pt, .pth), a pickle of numpy arrays, a tar of these"
MAX_MEMBER = 4 << 30  # bytes of one file in an archive; the Oxford networks are 165 MB
MAX_HEADER = 100_000_000  # bytes of safetensors' header, its own limit
SUFFIXES = (".pth", ".pt", ".pkl", ".safetensors")
TORCH_ZIP, TORCH_LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts put the state dict
PREFIX = re.compile(r"(?:(?:module|model)\.)+")
COUNTER = ".num_batches_tracked"  # of batch norm in training; older files do not have it
QUANTISED = "._packed_params._packed_params"  # a linear layer of torch's dynamic quantisation: (weight, bias)


def read_checkpoint(path: Path, arch: str, member: str | None = None) -> dict[str, torch.Tensor]:
    """Every tensor that `build(arch, outputs_of(arch, ...))` has, floating ones as float32, for RGB input.

    member: which file of an archive, as its path, name or name without suffix; without it `<arch>_ft_dag`, or
    the only one. Pickles of numpy arrays are Caffe's weights for BGR input and are turned to RGB.
    Raises InputError for a file that is absent, damaged, of another form, that holds anything but tensors or
    tries to run code, and for a tensor that is missing, unexpected, of another shape or not finite.
    """
    record = architectures.find(arch)
    try:
        with path.open("rb") as file:
            state, bgr = _read_file(file, str(path), f"{arch}_ft_dag", member)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; {ACCEPTED}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a checkpoint; {ACCEPTED}") from None
    state = _native(_tensors(state, path), record)
    if bgr:
        _flip_input(state, record, path, arch)
    return _checked(state, path, arch)


def _read_file(file: BinaryIO, where: str, default: str, member: str | None) -> tuple[Any, bool]:
    head = _head(file)
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        name, content = _read_member(file, where, default, member)
        return _read_form(io.BytesIO(content), f"{where}: {name}")
    if member is not None:
        raise InputError(f"{where}: not an archive, so `member: {member}` names nothing; leave it out")
    return _read_form(file, where)


def _head(file: BinaryIO) -> bytes:
    head = file.read(512)
    file.seek(0)
    return head


def _read_form(file: BinaryIO, where: str) -> tuple[Any, bool]:
    """What the file holds, and whether it expects BGR input."""
    head = _head(file)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < MAX_HEADER:
        return _guarded(lambda: safetensors.torch.load(file.read()), where), False
    if head.startswith((TORCH_ZIP, TORCH_LEGACY)):
        return _guarded(lambda: torch.load(file, map_location="cpu", weights_only=True), where), False
    if head.startswith((b"\x80", b"(", b"}", b"c")):
        return _guarded(lambda: ArrayUnpickler(file, encoding="latin1").load(), where), True
    raise InputError(f"{where}: {_guess(head)}; {ACCEPTED}")


def _guess(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "an HTML page, not a checkpoint"
    if head.startswith(b"\x89HDF"):
        return "a Keras file; the Keras ports are not numerically equal to the published networks"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the checkpoint it stands for"
    return "not a checkpoint of a known form"


def _guarded(read: Callable[[], Any], where: str | Path) -> Any:
    """What `read` returns; InputError for a file that is damaged or that asks for more than tensors."""
    try:
        return read()
    except ForbiddenError as error:
        asked = str(error)
    except Exception as error:  # readers of damaged files raise almost anything
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not found:
            message = " ".join(str(error).split())[:160]
            raise InputError(f"{where}: damaged, cut off or not plain tensors ({message}); {ACCEPTED}") from None
        asked = found[1]
    raise InputError(f"{where}: asks to run {asked}, and a checkpoint may hold tensors only; nothing was run")


def _read_member(file: BinaryIO, where: str, default: str, member: str | None) -> tuple[str, bytes]:
    """Read one member in memory: nothing of an archive ever reaches the disk, and links lead nowhere."""
    with _guarded(lambda: tarfile.open(fileobj=file, mode="r:*"), where) as archive:
        entries = _guarded(archive.getmembers, where)
        entry = _choose(entries, where, default, member)
        if not entry.isreg() or entry.size > MAX_MEMBER:
            raise InputError(f"{where}: {entry.name} is a link or too large, a plain file is accepted")
        return entry.name, _guarded(lambda: archive.extractfile(entry).read(), where)


def _choose(entries: list[tarfile.TarInfo], where: str, default: str, member: str | None) -> tarfile.TarInfo:
    def is_called(entry: tarfile.TarInfo, name: str) -> bool:
        path = Path(entry.name)
        return name in {entry.name, path.name, path.stem}

    files = [e for e in entries if e.name.endswith(SUFFIXES) and not Path(e.name).name.startswith(".")]
    found = [entry for entry in files if is_called(entry, member or default)]
    if not found and member is None and len(files) == 1:
        found = files
    if len(found) != 1:
        count = "more than one checkpoint is" if found else "no checkpoint is"
        names = ", ".join(entry.name for entry in files) or "none"
        raise InputError(f"{where}: {count} called {member or default}; accepted as `member`: {names}")
    return found[0]


def _tensors(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dict in what a file held: unwrapped, dequantised, without prefixes of wrapping modules."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no tensors by name; {ACCEPTED}")
    state = {str(name): value for name, value in _guarded(lambda: _dequantised(content), path).items()}
    for name, value in state.items():
        if isinstance(value, PickledArray):
            state[name] = torch.from_numpy(_guarded(value.numpy, f"{path}: {name}"))
        elif not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {name} is a {type(value).__name__}, not a tensor; {ACCEPTED}")
    if all(PREFIX.match(name) for name in state):
        state = {PREFIX.sub("", name, count=1): tensor for name, tensor in state.items()}
    return state


def _dequantised(content: Mapping) -> dict:
    """Quantised linear layers (EdgeFace's `_q` files) as float ones."""
    layers = [str(name).removesuffix(QUANTISED) for name in content if str(name).endswith(QUANTISED)]
    dropped = {f"{layer}{suffix}" for layer in layers for suffix in (".scale", ".zero_point")}
    plain = {k: v for k, v in content.items() if k not in dropped and "._packed_params." not in str(k)}
    for layer in layers:
        weight, bias = content[layer + QUANTISED]
        plain[f"{layer}.weight"] = weight.dequantize()
        if bias is not None:
            plain[f"{layer}.bias"] = bias
    return plain


def _native(state: dict[str, torch.Tensor], record: architectures.Architecture) -> dict[str, torch.Tensor]:
    """The tensors under the architecture's own names."""
    renamed = {}
    for name, tensor in state.items():
        layer, dot, leaf = name.rpartition(".")
        renamed[f"{record.layers.get(layer, layer)}{dot}{leaf}"] = tensor.detach()
    return renamed


def _flip_input(state: dict[str, torch.Tensor], record: architectures.Architecture, path: Path, arch: str) -> None:
    if record.stem is None:
        known = ", ".join(name for name, known in architectures.ARCHITECTURES.items() if known.stem)
        raise InputError(f"{path}: a pickle of numpy arrays (BGR) is accepted for {known}, not for {arch}")
    weight = state.get(f"{record.stem}.weight")
    if weight is not None and weight.ndim == 4:
        state[f"{record.stem}.weight"] = weight.flip(1)


def _checked(state: dict[str, torch.Tensor], path: Path, arch: str) -> dict[str, torch.Tensor]:
    """The state dict in the architecture's order, after a strict comparison of names and shapes."""
    try:
        with torch.device("meta"):  # shapes without memory
            expected = architectures.build(arch, architectures.outputs_of(arch, state)).state_dict()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    checked = {}
    for name, model in expected.items():
        if name not in state and name.endswith(COUNTER):
            checked[name] = torch.zeros((), dtype=torch.int64)
            continue
        if name not in state:
            raise InputError(f"{path}: {name} {_shape(model)} is missing, which {arch} needs")
        if state[name].shape not in {
            model.shape,
            (*model.shape, 1, 1),
        }:  # a 1x1 convolution is a linear layer
            raise InputError(f"{path}: {name} is {_shape(state[name])}, {arch} needs {_shape(model)}")
        checked[name] = _guarded(lambda n=name, m=model: _like(state[n], m), f"{path}: {name}")
    for name in state:
        if name not in expected and not name.endswith(COUNTER):
            raise InputError(f"{path}: {name} {_shape(state[name])} is unexpected, {arch} has no such tensor")
    return checked


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _like(tensor: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    tensor = tensor.to("cpu", model.dtype).reshape(model.shape).contiguous()
    if not torch.isfinite(tensor).all():
        raise ValueError("NaN or infinity among its numbers")
    return tensor
