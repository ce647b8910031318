"""Convert: a checkpoint of any known form as the one file that every job reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cloakbench.architectures import ARCHITECTURES, find, outputs_of
from cloakbench.checkpoints import read_checkpoint
from cloakbench.errors import InputError
from cloakbench.files import sha256
from cloakbench.models import save_tensors


def convert(checkpoint: Path, model: Mapping, digest: str, output: Path) -> None:
    """Write the weights of a config entry (`arch`, `head`) to `output`, with where they came from.

    digest: the sha256 that the checkpoint must have, or `any`. For a gallery the class head is left out: the
    embedding is what comes before it. Raises InputError for another hash, or where file and entry do not fit.
    """
    found = sha256(checkpoint)
    if digest not in ("any", found):
        raise InputError(f"{checkpoint}: sha256 is {found}, the config says {digest}: another file, or a damaged one")
    arch = model["arch"]
    state = read_checkpoint(checkpoint, arch)
    if model["head"] == "gallery" and arch in ARCHITECTURES:
        state = {name: value for name, value in state.items() if not name.startswith(f"{find(arch).head}.")}
    if model["head"] == "softmax" and outputs_of(arch, state) is None:
        raise InputError(f"{checkpoint}: holds no class head for {arch}; use head: gallery, or weights with a head")
    save_tensors(output, state, checkpoint={"file": checkpoint.name, "sha256": found}, arch=arch)
