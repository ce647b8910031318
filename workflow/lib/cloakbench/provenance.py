"""Provenance: what a study's numbers were made from, so that a reader can check each."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from cloakbench.models import load_tensors
from cloakbench.seals import sha256


def provenance(study: Path, config: Mapping, code: Mapping[str, str]) -> dict[str, Any]:
    """config: the study's; code: script name to the hash of it and all library code that it uses.

    Hashes are sha256: of the weights as given and as converted, of the drawn photos, and of every crafted cell,
    manifest of stored faces and ranks file of the study's results folder.
    """
    weights = sorted((study / "weights").glob("*.safetensors"))
    return {
        "config": dict(config),
        "code": dict(code),
        "versions": {"python": sys.version.split()[0], **_versions()},
        "hardware": _hardware(),
        "weights": {path.stem: {"converted": sha256(path), **_origin(path)} for path in weights},
        "photos": {name: sha256(study / name) for name in ("subjects.csv", "enrolment.csv")},
        "files": hashes(study, ["subjects", "crafted", "manifests", "redetected", "ranks", "psr.csv"]),
    }


def hashes(study: Path, parts: Iterable[str]) -> dict[str, str]:
    """sha256 of every file of the given parts of a results folder, by its path inside it."""
    files = (
        file for part in parts for file in ([study / part] if (study / part).is_file() else (study / part).rglob("*"))
    )
    kept = (file for file in files if file.is_file() and not file.name.startswith("."))
    return {file.relative_to(study).as_posix(): sha256(file) for file in sorted(kept)}


def _versions() -> dict[str, str]:
    return {dist.metadata["Name"]: dist.version for dist in sorted(distributions(), key=lambda d: d.name.lower())}


def _hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count(), "gpus": gpus}


def _origin(path: Path) -> dict[str, Any]:
    facts = load_tensors(path)[1]
    classes = facts.pop("classes", [])
    digest = hashlib.sha256("\n".join(classes).encode()).hexdigest()
    return facts | ({"classes": len(classes), "classes_sha256": digest} if classes else {})
