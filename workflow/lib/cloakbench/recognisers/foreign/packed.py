"""Zip archives that PyTorch writes, read as plain records; and bytes kept as a tensor beside other tensors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from cloakbench.errors import InputError

MAX_BYTES = 4 << 30  # of everything in an archive


def read_records(path: Path) -> dict[str, bytes]:
    """Record name, without the archive's own folder, to content. Raises InputError for what is not whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise InputError(f"{path}: unpacks to more than {MAX_BYTES >> 30} GB")
            return {entry.filename.partition("/")[2]: archive.read(entry) for entry in entries}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zipfile.zlib.error) as error:
        raise InputError(f"{path}: not a whole archive as torch.export.save writes ({error})") from None


def write_records(records: Mapping[str, bytes]) -> bytes:
    """An archive that torch reads; the same records give the same bytes."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name in sorted(records):
            archive.writestr(zipfile.ZipInfo(f"network/{name}"), records[name])
    return file.getvalue()


def to_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def to_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()
