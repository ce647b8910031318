"""Provenance: what a study's numbers were made from, so that a reader can check each."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from cloakbench.errors import InputError
from cloakbench.files.inspection import lineage
from cloakbench.files.seals import read_seal, sha256
from cloakbench.files.tensors import load_tensors
from cloakbench.report.settings import FORMAT, contradictions

# whose versions the seals name: how they round, draw, resize, compress and build networks is in the bytes
LIBRARIES = ["torch", "numpy", "pillow", "facenet-pytorch", "timm", "torchvision"]


def provenance(
    study: Path, tables: Iterable[Path], config: Mapping, about: Mapping, code: Mapping[str, str]
) -> dict[str, Any]:
    """tables: those that the study makes, whatever else lies there; config: the study's; about: what its tables say of
    it; code: script name to the hash of all code it uses.

    Hashes are sha256: of the weights as given and as converted, of the drawn photos (in subjects.csv and
    enrolment.csv), of a user's file of attributes, and of every file that went into the tables. Raises InputError for
    one that is not what was written, not what the next was made from, or made with other settings than the config's.
    """
    files = lineage(tables)
    for contradiction in contradictions(sorted(files), config, code.values()):
        raise InputError(contradiction)
    hashes = {path.relative_to(study).as_posix(): digest for path, digest in sorted(files.items())}
    weights = sorted((study / "weights").glob("*.safetensors"))
    facts = [read_seal(path)["facts"] for path in files if path.exists()]
    attributes = study / "attributes.csv"
    given = {"attributes": read_seal(attributes)["settings"]["content"]} if attributes in files else {}
    computed_on, computed_with = counted(facts, "device"), {name: counted(facts, name) for name in LIBRARIES}
    return {
        "format": FORMAT,
        "commit": commit(),
        "config": dict(config),
        "about": dict(about),
        "code": dict(code),
        "versions": {"python": sys.version.split()[0], **_versions()},
        "hardware": _hardware(),
        "devices": computed_on,
        "computed_with": computed_with,
        "gradients": counted(facts, "gradients"),
        "mixed": list(mixed({"device": computed_on, **computed_with})),
        "weights": {path.stem: {"converted": sha256(path), **_origin(path)} for path in weights if path in files},
        "photos": {name: hashes[name] for name in ("subjects.csv", "enrolment.csv") if name in hashes},
        "files": hashes,
        **given,
    }


def counted(facts: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    """How many files each device, version of a library or precision of gradients has computed. facts: of seals."""
    return dict(sorted(Counter(fact[name] for fact in facts if name in fact).items()))


def mixed(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A line for everything of which more than one device or version has computed files: each may round otherwise.

    counts: by "device" or a library's name, what `counted` gives.
    """
    for name, found in counts.items():
        if len(found) > 1:
            each = " and ".join(f"{value} ({files} file{'s' * (files > 1)})" for value, files in found.items())
            yield f"computed with more than one {name}: {each}"


def commit() -> str | None:
    """The checkout's commit, with + where it has changes; None where there is no checkout, or no git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    return {dist.metadata["Name"]: dist.version for dist in sorted(distributions(), key=lambda d: d.name.lower())}


def _hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "gpus": gpus,
    }


def _origin(path: Path) -> dict[str, Any]:
    facts = load_tensors(path)[1]
    classes = facts.pop("classes", [])
    digest = hashlib.sha256("\n".join(classes).encode()).hexdigest()
    return facts | ({"classes": len(classes), "classes_sha256": digest} if classes else {})
