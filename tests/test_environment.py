"""The environments name the versions that were tested."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml

from conftest import ROOT, TOY, job_counts, snakemake


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
    run_time = {re.match(r"[a-z0-9-]+", name)[0] for name in needed} - {"snakemake", "pyyaml", "pygments"}
    assert run_time <= {pin.split("==")[0] for pin in pins}


def test_the_container_is_made_of_what_is_here():
    """No engine runs in the tests: what the recipe copies exists, its Python and packages are those of the others."""
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line]
    copied = [source for word, *arguments in lines if word == "COPY" for source in arguments[:-1]]
    assert copied and [source for source in copied if not (ROOT / source).exists()] == []
    assert {"Snakefile", "config.yaml", "workflow", "scripts", "envs", "uv.lock", "pyproject.toml"} <= set(copied)
    base = next(arguments[0] for word, *arguments in lines if word == "FROM")
    environment = yaml.safe_load((ROOT / "envs/cloakbench.yaml").read_text())
    python = next(part for part in environment["dependencies"] if str(part).startswith("python"))
    assert base.split(":")[1].split("-")[0] == python.split("=")[1]
    for line in lines:
        assert "sync" not in line or "--locked" in line


def test_every_rule_names_an_environment_that_parses():
    files = re.findall(
        r'"\.\./\.\./(envs/.*?)"', "".join(file.read_text() for file in ROOT.glob("workflow/rules/*.smk"))
    )
    assert set(files) == {f"envs/{file.name}" for file in (ROOT / "envs").glob("*.yaml")}
    for file in set(files):
        assert set(yaml.safe_load((ROOT / file).read_text())) == {"channels", "dependencies"}
        script = (ROOT / file).with_suffix(".post-deploy.sh")
        assert not script.exists() or subprocess.run(["bash", "-n", script], check=False).returncode == 0


def profile_of(name: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


def test_whoever_names_a_profile_keeps_what_the_default_says(tmp_path, monkeypatch):
    """It is taken where none is named, wherever Snakemake is started, and only there."""
    names = {folder.name for folder in (ROOT / "profiles").iterdir()}
    assert names == {"default", "gpu", "slurm"}
    assert all(profile_of("default").items() <= profile_of(name).items() for name in names)
    monkeypatch.chdir(tmp_path)
    run = snakemake(tmp_path, "-n", "--configfile", TOY, "--", "results/toy/photos")
    assert f"profile {ROOT / 'profiles/default'} for setting default command line" in run.stderr


@pytest.mark.parametrize("name", ["gpu", "slurm"])
def test_profiles_name_rules_that_exist(name):
    """Snakemake takes an unknown rule without a word."""
    profile = profile_of(name)
    text = "".join(file.read_text() for file in ROOT.glob("workflow/rules/*.smk"))
    rules = set(re.findall(r"^\s*(?:use )?rule (?:\w+ as )?(\w+)(?::| with:)", text, re.MULTILINE))
    assert {*profile.get("groups", {}), *profile.get("set-resources", {})} <= rules
    assert len(rules) > 15


def test_the_gpu_profile_runs_on_a_machine_without_one(tmp_path):
    profile = ["--workflow-profile", ROOT / "profiles/gpu", "--configfile", TOY]
    planned = snakemake(tmp_path, "-n", *profile)
    assert job_counts(planned.stdout)["craft"] == 8, planned.stderr
    run = snakemake(tmp_path, *profile, "--", "results/toy/photos")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "results/toy/photos").is_dir()
