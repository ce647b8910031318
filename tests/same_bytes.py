"""Does this checkout compute what another commit computed? Both run the same studies on this machine, as users do.

    python tests/same_bytes.py OLD_COMMIT [--studies toy default lfw] [--work FOLDER] [--cores 2]

Compared are crafted faces, stored pictures, ranks and psr.csv, file by file: equal bytes, and of a table the columns
that both have, in name, order and value. Exit status 1 on any difference. The old commit's results stay in the work
folder, by commit and environment, for the next time.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "real"
STUDIES = {"toy": ["tests/toy.yaml"], "default": [], "lfw": ["workflow/studies/lfw.yaml"]}  # a tree's config files
FEW = f"matrix: {{eps: [4, 16]}}\ndataset: {{root: {REAL / 'lfw62x20'}, subjects: 12}}\n"  # of LFW
KINDS = {"crafted": "crafted/**/*", "stored": "stored/**/*", "ranks": "ranks/**/*", "psr": "psr.csv"}


class Comparison(NamedTuple):
    """Names of the files of one kind, relative to the study's folder."""

    equal: list[str]
    differing: list[str]
    only_old: list[str]
    only_new: list[str]

    @property
    def same(self) -> bool:
        """Nothing compared is nothing proved."""
        return bool(self.equal) and not (self.differing or self.only_old or self.only_new)


def compare(old: Path, new: Path, pattern: str) -> Comparison:
    """The files under two study folders that fit the pattern; hidden ones say when and where, and are left out."""
    before, after = set(_files(old, pattern)), set(_files(new, pattern))
    found = Comparison([], [], sorted(before - after), sorted(after - before))
    for name in sorted(before & after):
        (found.equal if equal(old / name, new / name) else found.differing).append(name)
    return found


def _files(study: Path, pattern: str) -> Iterator[str]:
    for path in study.glob(pattern):
        name = path.relative_to(study)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def equal(old: Path, new: Path) -> bool:
    """Equal bytes; of two tables equal text in each row of the columns that both have, and these in one order."""
    if old.read_bytes() == new.read_bytes():
        return True
    return old.suffix == ".csv" and _shared_columns(old, new) == _shared_columns(new, old) != [[]]


def _shared_columns(path: Path, other: Path) -> list[list[str]]:
    """The header and the rows of `path`, but for the columns that `other` has not."""
    (header, *rows), (shared, *_) = (
        [*csv.reader(table.read_text(encoding="utf-8").splitlines(keepends=True))] or [[]] for table in (path, other)
    )
    kept = [position for position, name in enumerate(header) if name in shared]
    return [[row[position] for position in kept if position < len(row)] for row in [header, *rows]] if kept else [[]]


def run(tree: Path, study: str, directory: Path, cores: int) -> Path:
    """The results of one study of the checkout `tree`, made in `directory`: all of them or none."""
    if not directory.is_dir():
        made = directory.with_name(f"{directory.name}.{os.getpid()}.part")
        made.mkdir(parents=True)
        configs = [tree / name for name in STUDIES[study]]
        if study == "lfw":
            (made / "weights").symlink_to(REAL / "weights")
            (made / "few.yaml").write_text(FEW, encoding="utf-8")
            configs.append(made / "few.yaml")
        command = [sys.executable, "-m", "snakemake", "--cores", cores, "--snakefile", tree / "Snakefile"]
        command += ["--directory", made, *(["--configfile", *configs] if configs else [])]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # `python` is this one
        environment = os.environ | {"PYTHONPATH": str(tree / "workflow/lib"), "PATH": path}
        with (made / "snakemake.txt").open("w") as told:
            ended = subprocess.run([*map(str, command)], stdout=told, stderr=told, env=environment)
        if ended.returncode:
            raise SystemExit(f"{tree}: {study} failed: {made / 'snakemake.txt'}")
        made.rename(directory)
    return next(directory.glob("results/*/psr.csv")).parent


def checkout(commit: str, folder: Path) -> Path:
    """That commit in a folder of its own."""
    if not folder.is_dir():
        subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", ROOT, folder], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "-q", "--detach", commit], check=True)
    return folder


def instruction_set() -> str:
    import torch

    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def environment() -> str:
    """A name for all but the code that decides what is computed: the machine's instructions, Python and packages.

    Those that the project asks for: another pytest computes nothing else.
    """
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    packages = {name: version(name) for name in (re.match(r"[\w.-]+", line)[0] for line in asked)}
    return hashlib.sha256(repr([instruction_set(), sys.version, packages]).encode()).hexdigest()[:12]


def git(*arguments: str) -> str:
    found = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {found.stderr.strip()}")
    return found.stdout.strip()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old_commit")
    arguments.add_argument("--studies", nargs="+", choices=STUDIES, default=[*STUDIES])
    arguments.add_argument("--work", type=Path, default=ROOT / "results" / "same_bytes")
    arguments.add_argument("--cores", type=int, default=2)
    options = arguments.parse_args()
    old_commit, new_commit = git("rev-parse", f"{options.old_commit}^{{commit}}"), git("rev-parse", "HEAD")
    work = options.work.resolve()
    tree = checkout(old_commit, work / old_commit / "tree")
    here = work / f"checkout-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    print(f"{old_commit[:12]} and {new_commit[:12]}{changed}, on {instruction_set()}")
    rows, examples = [], []
    for study in options.studies:
        if study == "lfw" and not REAL.is_dir():
            print(f"SKIPPED, NOTHING WAS COMPARED: lfw, for there are no real photographs and weights at {REAL}")
            continue
        shutil.rmtree(here / study, ignore_errors=True)
        old = run(tree, study, work / old_commit / environment() / study, options.cores)
        new = run(ROOT, study, here / study, options.cores)
        for kind, pattern in KINDS.items():
            found = compare(old, new, pattern)
            rows.append((study, kind, sum(map(len, found)), *map(len, found), "" if found.same else "NOT THE SAME"))
            for what, names in list(found._asdict().items())[1:]:
                examples += [f"{study}: {what.replace('_', ' ')}: {name}" for name in names[:3]]
    heads = ("study", "kind", "files", "equal", "differing", "only old", "only new", "")
    print(
        *("{:8} {:8} {:>6} {:>6} {:>10} {:>9} {:>9}  {}".format(*row).rstrip() for row in [heads, *rows]),
        *examples,
        sep="\n",
    )
    return int(any(row[-1] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
