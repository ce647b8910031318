"""Provenance: what a study's numbers were made from, so that a reader can check each."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from cloakbench.inspection import sealed
from cloakbench.models import load_tensors
from cloakbench.seals import WHOLE, intact, read_seal

PARTS = [  # of a results folder; the pictures in stored/ are hashed one by one in manifests/
    *("subjects.csv", "enrolment.csv", "subjects", "enrolment", "weights", "galleries", "crafted", "manifests"),
    *("redetected", "ranks", "psr.csv", "table1.csv", "table1.md", "table1.tex"),
    *("comparison.csv", "claims.csv", "comparison.md"),
]


def provenance(study: Path, config: Mapping, about: Mapping, code: Mapping[str, str]) -> dict[str, Any]:
    """config: the study's; about: what its tables say of it; code: script name to the hash of all code it uses.

    Hashes are sha256: of the weights as given and as converted, of the drawn photos (in subjects.csv and
    enrolment.csv), and of every file behind the tables. Raises InputError for one that is not what was written.
    """
    weights = sorted((study / "weights").glob("*.safetensors"))
    files = hashes(study, PARTS)
    return {
        "config": dict(config),
        "about": dict(about),
        "code": dict(code),
        "versions": {"python": sys.version.split()[0], **_versions()},
        "hardware": _hardware(),
        "devices": devices(study),
        "weights": {path.stem: {"converted": files[f"weights/{path.name}"], **_origin(path)} for path in weights},
        "photos": {name: files[name] for name in ("subjects.csv", "enrolment.csv")},
        "files": files,
    }


def hashes(study: Path, parts: Iterable[str]) -> dict[str, str]:
    """sha256 of every file of the given parts of a results folder, by its path inside it."""
    files = (file for part in parts for file in [study / part, *(study / part).rglob("*")])
    kept = sorted(file for file in files if file.is_file() and not file.name.startswith("."))
    return {file.relative_to(study).as_posix(): read_seal(intact(file))["files"][WHOLE] for file in kept}


def devices(study: Path) -> dict[str, int]:
    """How many of the study's files each device has computed, as their seals say."""
    facts = (read_seal(path)["facts"] for path in sealed(study))
    return dict(sorted(Counter(fact["device"] for fact in facts if "device" in fact).items()))


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
