"""What the documents say leads somewhere; every command in them is run, here or elsewhere, or says that it is not."""

from __future__ import annotations

import doctest
import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# what stands in code blocks of shell, by how it begins: where it is run as it stands or with another study's names
RUN = {
    "pip install uv && uv run snakemake --cores all": "by hand on a fresh clone, before each landing",
    "pip install uv": "the same",
    "uv sync": ".ci/run",
    "uv run pytest": ".ci/run",
    "bash .ci/run": "itself",
    "uvx pre-commit install": "says that it is not",
    "uv run snakemake --cores all --configfile workflow/studies/lfw.yaml": "test_real.py",
    "uv run snakemake --cores all --configfile workflow/studies/paper.yaml": "test_paper.py",
    "uv run snakemake --cores all --snakefile benchmarks/Snakefile": "test_benchmark.py",
    "uv run snakemake --cores all ": "the first, again",
    "uv run snakemake --cores 2 --configfile tests/toy.yaml": "test_workflow.py",
    "uv run snakemake --workflow-profile workflow/profiles/gpu": "test_cards.py",
    "uv run --group slurm snakemake --workflow-profile workflow/profiles/slurm": "test_slurm.py",
    "uv run snakemake --report report.html": "test_workflow.py",
    "uv run cloakbench verify": "test_faults.py",
    "uv run cloakbench copies": "test_copies.py",
    "python tests/same_bytes.py": "by hand, before each change of structure",
}


def commands() -> list[tuple[str, str]]:
    """(document, command) of each line in a block of shell."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(document.name, line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return found


@pytest.mark.parametrize(("document", "command"), commands())
def test_every_command_is_run_somewhere(document, command):
    assert any(command.startswith(known) for known in RUN), f"{document}: {command}: add it to RUN, and run it"


def test_no_command_is_listed_that_nobody_is_told():
    told = [command for _, command in commands()]
    assert [known for known in RUN if not any(line.startswith(known) for line in told)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(document):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_tests_that_are_named_are_there(document):
    """In code marks: paths of the project, modules of the library by their package, tests by file and name."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    roots = [ROOT, ROOT / "workflow/lib/cloakbench", ROOT / "workflow", ROOT / "tests/references"]
    for name in re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|smk|yaml))(?:::\w+)?`", text):
        assert any((root / name).exists() for root in roots), f"{document.name}: {name}"
    for file, test in re.findall(r"`(tests/\w+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{document.name}: {file}::{test}"


def test_the_readme_is_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert citation["cff-version"] == "1.2.0" and citation["authors"] and citation["title"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_what_runs_for_others_is_what_runs_here():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["run"]["steps"]
    assert steps[-1]["run"] == "bash .ci/run"
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].split()[2] for hook in hooks} == {"ruff", "snakefmt"}
    assert all(hook["entry"].startswith("uv run ") for hook in hooks)
    catalogue = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert catalogue["usage"]["software-stack-deployment"]["conda"] and catalogue["usage"]["report"]


LIBRARY = ROOT / "workflow/lib"
EXAMPLES = [path for path in sorted(LIBRARY.rglob("*.py")) if ">>>" in path.read_text()]


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_true(path: Path):
    module = importlib.import_module(".".join(path.relative_to(LIBRARY).with_suffix("").parts))
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
