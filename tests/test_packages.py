"""The library's packages: imports go down the list only, and the rule files load nothing that is slow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

LIBRARY = ROOT / "workflow/lib/cloakbench"
ORDER = [
    "errors",
    "platforms",
    "study",
    "files",
    "jobs",
    "photos",
    "synthetic",
    "recognisers",
    "attacks",
    "publishing",
    "measures",
    "statistics",
    "paper",
    "page",
    "report",
    "__main__",
]
NEVER = {
    "measures": {"attacks"},  # what is measured knows nothing of how it came about
    "statistics": {"files", "jobs", "photos", "synthetic", "recognisers", "attacks", "publishing", "measures"},
}
MODULES = sorted(LIBRARY.rglob("*.py"))


def package(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The packages, or modules beside them, that a file imports from anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("cloakbench."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_imports_go_down_the_list(path):
    own = package(path)
    if own == "__init__":
        return
    for name in imported(path):
        assert ORDER.index(name) <= ORDER.index(own), f"{path}: {own} imports {name}"
        assert name not in NEVER.get(own, ()), f"{path}: {own} imports {name}"


def test_the_list_is_whole():
    assert {package(path) for path in MODULES} == {*ORDER, "__init__"}


def test_every_package_says_what_it_is():
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_bytes())), path


def test_the_rule_files_load_nothing_slow():
    """A start of Snakemake, and of every job's Snakemake on a cluster, waits for what they import."""
    text = "\n".join(file.read_text() for file in [ROOT / "Snakefile", *ROOT.glob("workflow/rules/*.smk")])
    named = set(re.findall(r"^\s*from (cloakbench[\w.]*) import", text, re.MULTILINE))
    assert len(named) > 5
    code = f"import sys, {', '.join(sorted(named))}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {*run.stdout.split()}
    assert "cloakbench" in loaded and not loaded & {"torch", "numpy", "pandas", "PIL", "safetensors"}
