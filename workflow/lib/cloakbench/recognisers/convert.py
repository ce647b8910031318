"""Convert: a checkpoint of any known form as the one file that every job reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from cloakbench.errors import InputError
from cloakbench.files.tensors import save_tensors
from cloakbench.recognisers.architectures import ARCHITECTURES, build, find, outputs_of
from cloakbench.recognisers.checkpoints import read_checkpoint
from cloakbench.recognisers.foreign import graphs
from cloakbench.recognisers.recogniser import per_channel


def convert(
    checkpoint: Path,
    model: Mapping,
    digest: str,
    classes: Sequence[str],
    output: Path,
    shape: tuple[int, int] | None = None,
) -> None:
    """Write the weights of a config entry (`arch`, `head`, `crop`, maybe `member`) and their origin to `output`.

    digest: the sha256 or md5 that the checkpoint must have, or `any`. classes: the identities of a softmax head in
    the order of its units. For a gallery the class head is left out: the embedding is what comes before it.
    The network is tried on faces of `shape`, height and width in pixels, if there is one; one with its own graph
    needs it, and the entry's `mean` and `std`; `source` says that faces are crafted on it.
    Raises InputError for another hash, or where file, entry, crop and classes do not fit.
    """
    found, arch = check_digest(checkpoint, digest), model["arch"]
    facts = {"checkpoint": {"file": checkpoint.name, "sha256": found}, "arch": arch, "classes": list(classes)}
    if arch in graphs.FORMS:
        state, outputs, facts["one_by_one"] = _with_graph(checkpoint, model, shape)
    else:
        state = read_checkpoint(checkpoint, arch, model.get("member"))
        outputs = outputs_of(arch, state)
        if shape:
            _try(checkpoint, model, state, outputs, shape)
    if model["head"] == "softmax":
        check_classes(checkpoint, arch, outputs, classes)
    elif arch in ARCHITECTURES and not find(arch).embeds:
        state = {name: value for name, value in state.items() if not name.startswith(f"{find(arch).head}.")}
    save_tensors(output, state, **facts)


def _with_graph(path: Path, model: Mapping, shape: tuple[int, int]) -> tuple[dict[str, torch.Tensor], int, bool]:
    """What is kept of a network with its own graph, its number of outputs, and whether it takes one face at a time."""
    form = graphs.FORMS[model["arch"]]
    levels = torch.randint(0, 256, (3, 3, *shape), generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(per_channel(model[key])).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    faces = (levels - mean) / std
    kept = form.read(path)
    try:
        return kept, *graphs.tried(form.network(kept), faces, form.gradients or model.get("source", False))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _try(path: Path, model: Mapping, state: Mapping[str, torch.Tensor], outputs: int | None, shape: tuple) -> None:
    """Raises InputError unless the network takes faces of its crop's size and answers each with a row of numbers."""
    arch, crop = model["arch"], model["crop"]
    network = build(arch, outputs)
    network.load_state_dict(state)
    faces = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    try:
        found = graphs.answer(network, faces)
    except InputError as error:
        wanted, given = getattr(network, "pretrained_cfg", {}).get("input_size", (3, *shape))[1:], tuple(shape)
        if wanted == given or "does not take" not in str(error):
            raise InputError(f"{path}: {arch} {error}") from None
        size = f"{arch} takes {wanted[0]} x {wanted[1]} pixels, crop {crop} gives {given[0]} x {given[1]}"
        raise InputError(f"{path}: {size}; give the model a crop of that size") from None
    if outputs is not None and found.shape[1] != outputs:
        raise InputError(f"{path}: {arch} answers with {found.shape[1]} numbers, its head has {outputs}")


def check_digest(path: Path, digest: str) -> str:
    """The file's sha256. Raises InputError if `digest` is another sha256 or md5."""
    kinds = ["sha256", "md5"] if len(digest) == 32 else ["sha256"]
    found = {}
    for kind in kinds:
        with path.open("rb") as file:
            found[kind] = hashlib.file_digest(file, kind).hexdigest()
    if digest != "any" and digest not in found.values():
        actual = f"{kinds[-1]} is {found[kinds[-1]]}"
        raise InputError(f"{path}: {actual}, the config says {digest}: another file, or a damaged one")
    return found["sha256"]


def check_classes(path: Path, arch: str, outputs: int | None, classes: Sequence[str]) -> None:
    """Raises InputError unless the network has a class head with a unit for each of `classes`."""
    if outputs is None:
        raise InputError(f"{path}: holds no class head for {arch}; use head: gallery, or weights with a head")
    if outputs != len(classes):
        raise InputError(
            f"{path}: its head has {outputs} units, the class list {len(classes)} identities; give the list that "
            "belongs to it in classes, or use head: gallery"
        )
