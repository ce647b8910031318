"""The environments name the versions that were tested."""

from __future__ import annotations

import re
import tomllib

import yaml

from conftest import ROOT


def locked() -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        versions.setdefault(package["name"], set()).add(package["version"])
    return versions


def test_conda_pins_equal_the_lock_file():
    environment = yaml.safe_load((ROOT / "envs/cloakbench.yaml").read_text())
    pins = next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    pins.append(re.search(r"facenet-pytorch==\S+", (ROOT / "envs/cloakbench.post-deploy.sh").read_text())[0])
    for pin in pins:
        name, version = pin.split("==")
        assert version in locked()[name], pin
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    run_time = {re.match(r"[a-z-]+", name)[0] for name in needed} - {"snakemake", "pyyaml"}
    assert run_time <= {pin.split("==")[0] for pin in pins}
