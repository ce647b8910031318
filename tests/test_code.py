"""What code a job runs: found by reading it, and no less than what it was seen to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloakbench.study.code import Library

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
    "cloakbench/tools.py": "def used(level):\n    return _inner(level)\n\ndef _inner(level):\n    return level\n\n"
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
    "what is called": ("cloakbench/tools.py", "return level", "return level + 1"),
    "a constant": ("cloakbench/work/steps_data.py", "LEVEL = 3", "LEVEL = 4"),
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
    "a raised message, which a table may hold": ("cloakbench/tools.py", "return level", 'raise ValueError("x")'),
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
