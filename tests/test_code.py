"""What code a job runs: found by reading it, and no less than what it was seen to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from cloakbench.recognisers.architectures import build
from cloakbench.study.code import CARRIERS, Library
from conftest import ROOT

FILES = {
    "script.py": '''"""A script."""
from cloakbench.work import job

def main():
    """What it does."""
    job(1)
''',
    "cloakbench/__init__.py": "",
    "cloakbench/work/__init__.py": "from .steps import job\nFIRST = 1\n",
    "cloakbench/work/steps.py": '''from cloakbench import tools
from cloakbench.work.steps_data import LEVEL
from . import registry

def job(count: int) -> None:
    """Docstring."""
    print(f"{count} jobs")  # a comment
    tools.used(LEVEL)
    registry.LOADERS["a"]()

def other():
    tools.unused()
''',
    "cloakbench/work/steps_data.py": "LEVEL = 3\nUNUSED = 4\n",
    "cloakbench/work/registry.py": """from cloakbench.formats import a, b

LOADERS = {"a": a.load, "b": b.load}
""",
    "cloakbench/formats/__init__.py": "",
    "cloakbench/formats/a.py": "def load():\n    return 1\n",
    "cloakbench/formats/b.py": "def load():\n    return 2\n",
    "cloakbench/tools.py": "def used(level):\n    return _inner(level)\n\n"
    "def _inner(level):\n    return level * SCALE\n\nSCALE = 2\n"
    "def unused():\n    return 0\n",
}
CHOSEN = {"work.registry.LOADERS": ["a"]}


@pytest.fixture
def library(tmp_path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def version(root: Path, chosen=CHOSEN) -> str:
    return Library(root).version(root / "script.py", chosen)


SAME = {
    "a comment": ("cloakbench/tools.py", "return _inner", "# what for\n    return _inner"),
    "a docstring": ("cloakbench/work/steps.py", '"""Docstring."""', '"""Another\n\n    one."""'),
    "no docstring": ("script.py", '    """What it does."""\n', ""),
    "a log's wording": ("cloakbench/work/steps.py", 'print(f"{count} jobs")', 'print(f"jobs: {count}")'),
    "an annotation": ("cloakbench/work/steps.py", "count: int", "count"),
    "line breaks": ("cloakbench/tools.py", "used(level)", "used(\n    level,\n)"),
    "what is not reached": ("cloakbench/tools.py", "return 0", "return 1"),
    "a constant that is not reached": ("cloakbench/work/steps_data.py", "UNUSED = 4", "UNUSED = 5"),
    "another entry": ("cloakbench/formats/b.py", "return 2", "return 3"),
    "one more entry": ("cloakbench/work/registry.py", '"b": b.load', '"b": b.load, "c": b.load'),
    "another order": ("cloakbench/work/steps_data.py", "LEVEL = 3\nUNUSED = 4", "UNUSED = 4\nLEVEL = 3"),
}
OTHER = {
    "what is called": ("cloakbench/tools.py", "level * SCALE", "level + SCALE"),
    "a constant": ("cloakbench/work/steps_data.py", "LEVEL = 3", "LEVEL = 4"),
    "a constant beside what uses it": ("cloakbench/tools.py", "SCALE = 2", "SCALE = 3"),
    "the script": ("script.py", "job(1)", "job(2)"),
    "the chosen entry": ("cloakbench/formats/a.py", "return 1", "return 3"),
    "where the entry leads": ("cloakbench/work/registry.py", '"a": a.load', '"a": b.load'),
    "what a package makes of a name": ("cloakbench/work/__init__.py", "import job", "import other as job"),
    "what a relative import brings": (
        "cloakbench/work/steps.py",
        "from . import registry",
        "from ..formats import b as registry",
    ),
    "what importing does": ("cloakbench/work/__init__.py", "FIRST = 1", "FIRST = 1\nprint(FIRST + 1)"),
    "a file that is printed into": ("cloakbench/work/steps.py", 'print(f"{count} jobs")', 'print("x", file=count)'),
    "a raised message, which a table may hold": (
        "cloakbench/tools.py",
        "return level *",
        'raise ValueError("x") if level else',
    ),
}


@pytest.mark.parametrize("edit", SAME)
def test_what_no_job_runs_is_not_counted(library, edit):
    assert edited(library, *SAME[edit]) == version_before(library, *SAME[edit])


@pytest.mark.parametrize("edit", OTHER)
def test_what_a_job_runs_is_counted(library, edit):
    assert edited(library, *OTHER[edit]) != version_before(library, *OTHER[edit])


def version_before(library: Path, name: str, old: str, new: str) -> str:
    (library / name).write_text(FILES[name])
    return version(library)


def edited(library: Path, name: str, old: str, new: str) -> str:
    assert old in FILES[name]
    (library / name).write_text(FILES[name].replace(old, new))
    return version(library)


def test_all_of_a_registry_counts_where_nothing_is_chosen(library):
    before = version(library, {})
    (library / "cloakbench/formats/b.py").write_text("def load():\n    return 3\n")
    assert version(library, {}) != before


@pytest.mark.parametrize(
    "text",
    [
        'import importlib\ndef job(count):\n    importlib.import_module("cloakbench.hidden").run()\n',
        "from cloakbench import hidden\ndef job(count):\n    getattr(hidden, count)()\n",
        "from cloakbench.hidden import *\ndef job(count):\n    run()\n",
        "import cloakbench.hidden\ndef job(count):\n    cloakbench.hidden.run()\n",
        "from cloakbench.hidden import register\n@register\ndef job(count): pass\n",
        "def job(count):\n    from cloakbench.hidden import run\n    return run()\n",
        "from cloakbench.hidden import Base\nclass job(Base): pass\n",
        "from cloakbench.hidden import run\ndef job(count, how=run): pass\n",
    ],
)
def test_a_way_to_code_that_is_hard_to_follow_is_not_overlooked(library, text):
    (library / "cloakbench/hidden.py").write_text(
        hidden := "def run(): return 1\ndef register(f): return 1\nclass Base: x = 1\n"
    )
    (library / "cloakbench/work/steps.py").write_text(text)
    before = version(library)
    (library / "cloakbench/hidden.py").write_text(hidden.replace("1", "2"))
    assert version(library) != before


# put before every job of a study: writes down which definitions of the library each script runs
WATCH = r"""
import os, sys, threading
seen = set()
def importing(frame):  # what importing a module runs only makes names, which count where they are used
    def imported():
        name = str(frame.f_globals.get("__name__"))
        return frame.f_code.co_name == "<module>" and name.startswith("cloakbench")
    while frame and not imported():
        frame = frame.f_back
    return frame
def watch(frame, event, argument):
    code = frame.f_code
    key = code.co_filename, code.co_qualname
    if event == "call" and "/lib/cloakbench/" in code.co_filename and key not in seen and not importing(frame):
        seen.add(key)
        with open(os.environ["SEEN"], "a") as file:
            file.write("\t".join([sys.argv[0], *key]) + "\n")
if "SEEN" in os.environ:
    sys.setprofile(watch)
    threading.setprofile(watch)
"""
PLUMBING = {f"cloakbench.{name}" for name in ("warm", "parent", "endings", "platforms")} | CARRIERS


@pytest.mark.slow
def test_a_job_runs_nothing_that_is_not_counted(tmp_path):
    """Every stage of a study with a trained and a given recogniser, a gallery and two budgets."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(WATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(build("small_resnet", 5).state_dict(), tmp_path / "given.safetensors")
    config = ROOT / "tests/faults.yaml"
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--cores", "2", "--configfile", config, "--config", "measures=[quality, ladder, properties]"]
    command += ["dataset={attributes: people.csv}"]
    (tmp_path / "people.csv").write_text("identity,sex\nid0000,f\nid0001,m\nid0002,f\nid0003,m\nid0004,f\n")
    # a parent of its own, that no other study's jobs share and that is watched from its start
    there = {"PYTHONPATH": str(tmp_path / "site"), "SEEN": str(tmp_path / "seen"), "TMPDIR": str(tmp_path)}
    run = subprocess.run(list(map(str, command)), env=os.environ | there, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    archs = {model["arch"] for model in yaml.safe_load((ROOT / "config.yaml").read_text())["models"].values()}
    chosen = dict.fromkeys(
        ("recognisers.foreign.graphs.FORMS", "recognisers.architectures.ARCHITECTURES", "synthetic.small.SMALL"), archs
    )
    chosen |= {"photos.datasets.LOADERS": ["synthetic"], "publishing.store.FORMATS": ["jpeg"]}
    chosen |= {"attacks.iterative.GOALS": ["untargeted"]}
    library, seen = Library(ROOT / "workflow/lib"), {}
    for line in (tmp_path / "seen").read_text().splitlines():
        script, file, name = line.split("\t")
        # a template of the pages runs too, and counts as a setting of its own
        if Path(script).parent == ROOT / "scripts" and Path(file).suffix == ".py":
            module = ".".join(Path(file).relative_to(library.root).with_suffix("").parts).removesuffix(".__init__")
            seen.setdefault(Path(script), set()).add((module, name.split(".")[0]))
    assert len(seen) >= 19 and sum(map(len, seen.values())) > 200
    for script, definitions in seen.items():
        run_there = {(module, name) for module, name in definitions if module not in PLUMBING and name[0] != "<"}
        assert run_there - set(library.reached(script, chosen)) == set(), script


def test_a_definition_that_is_not_there_has_no_version():
    """One that has moved would count as nothing, or as everything, and nobody would know."""
    library = Library(ROOT / "workflow/lib")
    assert library.version("cloakbench.measures.ranking.ranks")
    for name in ("cloakbench.ranking.ranks", "cloakbench.measures.ranking.rank", "cloakbench.measures"):
        with pytest.raises(ValueError, match=f"{name}: no such definition"):
            library.version(name)
