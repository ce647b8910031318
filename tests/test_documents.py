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
# each command of a block of shell, as it stands there: the file that runs it, and what of it stands in that file
RUN = {
    "bash .ci/run": (".github/workflows/ci.yml", "bash .ci/run"),
    "uv sync": (".ci/run", "uv sync --locked"),
    "uv run pytest": (".ci/run", "uv run pytest"),
    'uv run pytest -m "slow or not slow"': (".ci/run", 'uv run pytest -m "slow or not slow"'),
    "uv run snakemake --cores 2 --configfile tests/toy.yaml": ("tests/test_workflow.py", '"--configfile", TOY'),
    "uv run snakemake --cores all --configfile workflow/studies/lfw.yaml --config 'dataset={root: /photos}'": (
        "tests/test_real.py",
        "workflow/studies/lfw.yaml",
    ),
    "uv run snakemake --cores all --configfile workflow/studies/paper.yaml --config 'dataset={root: /data/VGGFace2}'": (
        "tests/test_paper.py",
        "workflow/studies/paper.yaml",
    ),
    "uv run snakemake --cores all --snakefile benchmarks/Snakefile": (
        "tests/test_benchmark.py",
        "benchmarks/Snakefile",
    ),
    "uv run snakemake --workflow-profile profiles/gpu": ("tests/test_environment.py", "profiles/gpu"),
    "uv run --group slurm snakemake --workflow-profile profiles/slurm": (
        "tests/test_slurm.py",
        "profiles/slurm",
    ),
    "uv run snakemake --report report.html": ("tests/test_workflow.py", '"--report"'),
    "uv run cloakbench verify results/demo": ("tests/test_faults.py", '"cloakbench", "verify"'),
    "uv run cloakbench copies photos": ("tests/test_copies.py", '"copies"'),
    "uv run cloakbench convert-npm package --output weights/dlib_resnet.safetensors": (
        "tests/test_npm.py",
        '"convert-npm"',
    ),
    "uv run cloakbench copies photos --altered 100": ("tests/test_copies.py", '"--altered"'),
}
# those that take another machine, a network or an older commit: by whom they are run
BY_HAND = {
    "pip install uv && uv run snakemake --cores all": "on a fresh clone, before a release",
    "uv run snakemake --cores all": "the same",
    "pip install uv": "the same",
    "python tests/same_bytes.py OLD_COMMIT --work ~/same_bytes": "before a change of structure lands",
}


def commands() -> list[tuple[str, str]]:
    """(document, command) of each line in a block of shell."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(document.name, line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return found


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_is_run_somewhere(document, line):
    command, _, about = (part.strip() for part in line.partition("# "))
    assert command in RUN or command in BY_HAND or about.startswith("not run here: "), f"{document}: {command}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_hides_in_a_block_of_another_kind(document):
    for kind, block in re.findall(r"```(\w*)\n(.*?)```", document.read_text(), re.DOTALL):
        assert kind in ("sh", "yaml", "python", ""), kind
        assert kind == "sh" or not re.search(r"^\W*(uv|uvx|pip|snakemake|cloakbench|pytest|bash) ", block, re.MULTILINE)


def test_no_command_is_listed_that_nobody_is_told():
    told = {line.partition("# ")[0].strip() for _, line in commands()}
    assert {*RUN, *BY_HAND} - told == set()


@pytest.mark.parametrize("command", RUN)
def test_a_command_is_run_where_the_list_says(command):
    file, words = RUN[command]
    assert words in (ROOT / file).read_text()


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
