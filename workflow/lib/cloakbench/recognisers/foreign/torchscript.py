"""TorchScript files as networks: a program in an archive, admitted only if all it does is compute.

Loading one runs nothing but `__setstate__` methods and what its pickles name, so both are looked at first; then every
operation of its `forward` is, before it is called. What was looked at is what is kept and loaded: a new archive of the
records that matter, without debug information, traced inputs and extra files.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.recognisers.foreign import packed
from cloakbench.recognisers.foreign.operations import admit

ARCHIVE = "torchscript"  # name of the tensor that holds the archive
RECORD = re.compile(r"code/[\w/]+\.py|(data|constants)(\.pkl|/\d+)|(\.data/)?version|byteorder")
GLOBAL = re.compile(
    r"__torch__(?!\.torch\.classes)(\.\w+)* \w+"  # classes of the archive's own code
    r"|torch\._utils _rebuild_tensor_v2|torch (Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
    r"|torch\.jit\._pickle (build_(int|double|bool|tensor)list|restore_type_tag)|collections OrderedDict"
)
UNSEEN = re.compile(rb"__setstate__|__forward_(pre_)?hooks__")  # code that is not in the graph of `forward`
NAMING = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}  # pickle's ways to name what it makes


class TorchScript(nn.Module):
    """A TorchScript network: (B, 3, H, W) -> what its forward returns."""

    def __init__(self, archive: bytes):
        """Raises InputError if it does not load or does anything but compute."""
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch recommends torch.export, and so do we
            try:
                self.script = torch.jit.load(io.BytesIO(archive), map_location="cpu").eval()
                graph = self.script.inlined_graph
            except (RuntimeError, AttributeError, ValueError) as error:
                raise InputError(f"does not load as TorchScript ({str(error).strip().splitlines()[0]})") from None
        for kind in sorted(set(_kinds(graph))):
            admit(kind)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        # without the optimiser, which rewrites a program after its first calls: the same faces give the same bytes
        with torch.jit.optimized_execution(False):
            return self.script.forward(faces.contiguous())


def _kinds(block: torch._C.Graph | torch._C.Block) -> Iterator[str]:
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _kinds(inner)


def read(path: Path) -> dict[str, torch.Tensor]:
    """The archive as a tensor of bytes. Raises InputError for a file that is damaged or does anything but compute."""
    records = packed.read_records(path)
    if "data.pkl" not in records or not any(name.startswith("code/") for name in records):
        raise InputError(f"{path}: not a TorchScript archive, torch.jit.save writes one")
    kept = {name: data for name, data in records.items() if RECORD.fullmatch(name)}
    for name, data in kept.items():
        if name.endswith(".pkl"):
            _check_pickle(data, f"{path}: {name}")
        elif found := UNSEEN.search(data):
            raise InputError(f"{path}: {name} has {found[0].decode()}, which would run unasked; nothing was run")
    return {ARCHIVE: packed.to_tensor(packed.write_records(kept))}


def _check_pickle(data: bytes, where: str) -> None:
    try:
        named = [str(value) for code, value, _ in pickletools.genops(data) if code.name in NAMING]
    except Exception as error:  # pickletools raises almost anything on a damaged pickle
        raise InputError(f"{where}: damaged ({error})") from None
    foreign = next((name for name in named if not GLOBAL.fullmatch(name)), None)
    if foreign:
        raise InputError(f"{where}: asks for {foreign.replace(' ', '.')}, which is no tensor; nothing was run")


def network(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """The network of what `read` returned. Raises InputError if it does anything but compute."""
    return TorchScript(packed.to_bytes(tensors[ARCHIVE]))
