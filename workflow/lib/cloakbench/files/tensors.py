"""Tensors in a file that can hold nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cloakbench.errors import InputError
from cloakbench.files.seals import intact
from cloakbench.files.writing import writing


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], **facts: Any) -> None:
    """A safetensors file whose metadata holds `facts` as JSON, in one entry: the order of several is left to chance."""
    with writing(path) as temporary:
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            save_file(contiguous, temporary, metadata={"facts": json.dumps(facts)})
        except SafetensorError as error:  # a full disk
            raise OSError(str(error)) from None


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and facts that `save_tensors` wrote. Raises InputError for a file that is not whole."""
    return _read(path, lambda name: True)


def read_tensors(path: Path, *names: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The same, but of the tensors only those of these names that are there."""
    return _read(path, lambda name: name in names)


def _read(path: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(intact(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys() if wanted(name)}, facts  # noqa: SIM118
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None
