"""Recogniser weights in every form they are published in, read without running anything that a file holds.

Every form becomes a float32 state dict in the naming of `architectures.build`, for RGB input. Which form it
is shows in the file's first bytes; its name is used for nothing but error messages.
"""

from __future__ import annotations

import io
import re
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch

from cloakbench.errors import InputError
from cloakbench.recognisers import architectures
from cloakbench.recognisers.unpickler import UNREAD, ArrayUnpickler, ForbiddenError, PickledArray

ACCEPTED = "accepted: safetensors, a PyTorch state dict (.pt, .pth), a pickle of numpy arrays, a tar of these"
MAX_MEMBER = 4 << 30  # bytes of one file in an archive; the Oxford networks are 165 MB
MAX_HEADER = 100_000_000  # bytes of safetensors' header, its own limit
SUFFIXES = (".pth", ".pt", ".pkl", ".safetensors")
TORCH_ZIP, TORCH_LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts put the state dict, if not elsewhere
DEPTH = 3  # of mappings in mappings
PART = re.compile(r"-\d{5}-of-\d{5}")  # in the name of one file of several
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
    state = _native(_tensors(_state_dict(state, path, arch), path), record)
    if bgr:
        _flip_input(state, record, path, arch)
    return _checked(state, path, arch)


def read_plain(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict of any network, by the names that they have there. Raises InputError for a file that
    is absent, damaged, of another form, that holds anything but tensors or tries to run code."""
    try:
        with path.open("rb") as file:
            content = _read_form(file, str(path))[0]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {ACCEPTED}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds no tensors by name; {ACCEPTED}")
    return _tensors({str(name): value for name, value in content.items()}, path)


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
        if head.startswith(TORCH_ZIP):
            _check_zip(file, where)
        return _guarded(lambda: _load(file), where), False
    if head.startswith((b"\x80", b"(", b"}", b"c")):
        return _guarded(lambda: ArrayUnpickler(file, encoding="latin1").load(), where), True
    raise InputError(f"{where}: {_guess(head)}; {ACCEPTED}")


def _guess(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text:
        return "an empty file"
    if text.startswith((b"<!doctype", b"<html")):
        return "an HTML page, not a checkpoint"
    if text.startswith(b"{"):
        return (
            "JSON, not a checkpoint: what a server answered, or the index of one in parts, to be joined into one file"
        )
    if head.startswith((b"\xfd7zXZ", b"BZh", b"Rar!", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")):
        return "a compressed file; unpack it and give what is in it"
    if head.startswith(b"\x89HDF"):
        return "a Keras file; the Keras ports are not numerically equal to the published networks"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the checkpoint it stands for"
    return "not a checkpoint of a known form"


def _check_zip(file: BinaryIO, where: str) -> None:
    """Raises InputError for a zip that is no state dict of torch's."""
    try:
        names = zipfile.ZipFile(file).namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise InputError(f"{where}: damaged or cut off; fetch it again, whole") from None
    finally:
        file.seek(0)
    below = {name.partition("/")[2] for name in names}
    if "archive_format" in below:
        raise InputError(f"{where}: a network as torch.export writes it; use arch: torch_export")
    if "constants.pkl" in below:
        raise InputError(f"{where}: a network as TorchScript; export it with torch.export and use arch: torch_export")
    if "data.pkl" not in below:
        raise InputError(f"{where}: a zip of {', '.join(names)[:80]}; unpack it and give the checkpoint in it")


def _load(file: BinaryIO) -> Any:
    with (
        torch.serialization.safe_globals([(unread, name) for name, unread in UNREAD.items()]),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of sparse tensors, which are checked as the file is read
        return torch.load(file, map_location="cpu", weights_only=True)


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
    raise InputError(
        f"{where}: asks to run {asked}, and a checkpoint may hold tensors only; nothing was run; where it was made "
        "save its state_dict alone: torch.save(model.state_dict(), file)"
    )


def _read_member(file: BinaryIO, where: str, default: str, member: str | None) -> tuple[str, bytes]:
    """Read one member in memory: nothing of an archive ever reaches the disk, and links lead nowhere."""
    try:
        archive = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115
    except (tarfile.TarError, OSError, EOFError):
        raise InputError(f"{where}: compressed, and no tar, or damaged; unpack it and give what is in it") from None
    with archive:
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


def _state_dict(content: Any, path: Path, arch: str) -> dict[str, Any]:
    """The one mapping in what a file held that has the architecture's tensors, without prefixes of wrapping modules.

    Raises InputError where there is none, or where several are as good: which one is meant only the user knows.
    """
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no tensors by name; {ACCEPTED}")
    names = _names(arch)
    found = []
    for where, mapping in _mappings(content, DEPTH):
        fits = Counter(prefix for name in mapping for prefix in _prefixes(str(name), names))
        found += [(count, where, prefix) for prefix, count in fits.items()]
    if not found:
        return {str(name): value for name, value in content.items()}  # refused tensor by tensor
    most = max(found)[0]
    best = [(where, prefix) for count, where, prefix in found if count == most]
    usual = [place for place in best if all(key in WRAPPERS for key in place[0])]
    if len(best) > 1 and len(usual) != 1:
        places = " and ".join(".".join([*where, prefix]).rstrip(".") or "the file itself" for where, prefix in best)
        raise InputError(f"{path}: holds {len(best)} networks, {places}; save the one that is meant alone")
    where, prefix = (usual or best)[0]
    for key in where:
        content = content[key]
    named = {str(name): value for name, value in content.items()}
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}


def _names(arch: str) -> set[str]:
    """What the architecture's tensors may be called, by itself or in other people's files."""
    record = architectures.find(arch)
    with torch.device("meta"):
        own = set(architectures.build(arch, 2).state_dict())
    theirs: dict[str, list[str]] = {}
    for layer, ours in record.layers.items():
        theirs.setdefault(ours, []).append(layer)
    parts = [name.rpartition(".") for name in own]
    return own | {f"{layer}.{leaf}" for ours, _, leaf in parts for layer in theirs.get(ours, [])}


def _prefixes(name: str, names: set[str]) -> Iterator[str]:
    """What stands before one of `names` in a name: nothing, or names of modules with their dots."""
    name = name.removesuffix(QUANTISED) + ".weight" if name.endswith(QUANTISED) else name
    for match in re.finditer(r"^|\.", name):
        if name[match.end() :] in names:
            yield name[: match.end()]


def _mappings(content: Mapping, depth: int, where: tuple = ()) -> Iterator[tuple[tuple, Mapping]]:
    yield where, content
    for key, value in content.items():
        if isinstance(value, Mapping) and depth:
            yield from _mappings(value, depth - 1, (*where, str(key)))


def _tensors(content: Mapping, path: Path) -> dict[str, torch.Tensor]:
    """Plain tensors, dequantised and dense. Raises InputError for what is none."""
    state = dict(_guarded(lambda: _dequantised(content), path))
    for name, value in state.items():
        if isinstance(value, PickledArray):
            state[name] = torch.from_numpy(_guarded(value.numpy, f"{path}: {name}"))
        elif not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {name} is a {type(value).__name__}, not a tensor; {ACCEPTED}")
        elif value.is_meta:
            raise InputError(f"{path}: {name} has a shape and no numbers (a meta tensor); save the loaded network")
        elif value.is_quantized or value.layout != torch.strided:
            state[name] = value.dequantize() if value.is_quantized else value.to_dense()
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
            part = "; a part of a checkpoint, join all parts into one file" if PART.search(path.name) else ""
            raise InputError(f"{path}: {name} {_shape(model)} is missing, which {arch} needs{part}")
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
    if model.is_floating_point() and not tensor.is_floating_point():
        raise ValueError(f"{tensor.dtype} where floating numbers are needed; give those from before quantisation")
    tensor = tensor.to("cpu", model.dtype).reshape(model.shape).contiguous()
    if not torch.isfinite(tensor).all():
        raise ValueError("NaN or infinity among its numbers")
    return tensor
