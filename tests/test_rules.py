"""The rule files read well, and the Slurm profile knows what each rule needs."""

from __future__ import annotations

import re

import pytest
import yaml

from conftest import ROOT

FILES = sorted(ROOT.glob("workflow/rules/*.smk"))
RULE = re.compile(r"^(?:    )?(?:use )?rule (?:\w+ as )?(\w+)(?::| with:)\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
RULES = {name: body for file in FILES for name, body in RULE.findall(file.read_text())}
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
ALONE = {
    "detect",
    "examples",
    "fetch",
}  # in no bundle: at once, after everything, and on the machine that has a network


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_file_says_what_comes_in_and_goes_out(file):
    text = file.read_text()
    assert text.startswith("# "), file
    assert max(map(len, text.splitlines())) <= 120, file
    for line in re.findall(r"^\s+f?[\"'](--.*)[\"']$", text, re.MULTILINE):
        assert len(re.findall(r"(?:^| )--[a-z]", line)) == 1, f"{file}: more than one option: {line}"


def test_rules_are_found():
    assert len(RULES) > 20 and {"look", "classify", "enrol_cloaked", "crop_enrolled", "path"} <= set(RULES)


@pytest.mark.parametrize("rule", sorted(name for name, body in RULES.items() if "gpu=GPU" in body))
def test_a_rule_that_takes_a_gpu_declares_its_memory_and_goes_to_the_partition_with_gpus(rule):
    assert "gpu_mem_mb=GPU_MEMORY" in RULES[rule] and '"{params.compute} "' in RULES[rule]
    assert PROFILE["set-resources"][rule]["slurm_partition"] == "gpu"


@pytest.mark.parametrize("rule", sorted({*RULES} - ALONE))
def test_a_rule_is_in_a_bundle_of_jobs_and_a_bundle_in_one_partition(rule):
    bundle = PROFILE["groups"][rule]
    partitions = {
        PROFILE["set-resources"].get(other, {}).get("slurm_partition", "cpu")
        for other, name in PROFILE["groups"].items()
        if name == bundle
    }
    assert len(partitions) == 1, bundle


@pytest.mark.parametrize("rule", sorted(PROFILE["set-resources"]))
def test_memory_and_time_grow_with_each_attempt(rule):
    for key, value in PROFILE["set-resources"][rule].items():
        assert key == "slurm_partition" or str(value).endswith("* attempt")
    assert {"mem_mb", "runtime"} <= set(PROFILE["default-resources"])
