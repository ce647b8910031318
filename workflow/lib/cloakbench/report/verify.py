"""Verify: does every number of a finished study follow from its files, and are they the files that its jobs wrote?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.files.inspection import faults
from cloakbench.files.reading import read_table
from cloakbench.files.seals import REMEDY, intact, sha256
from cloakbench.measures.cells import read_psr
from cloakbench.page.build import summary
from cloakbench.photos.sample import read_photos
from cloakbench.report.faces import rows as faces
from cloakbench.report.results import COMPARISON, FROM_LEAVES, FROM_QUALITY, FROM_RANKS, TABLE1, costed, judged
from cloakbench.report.settings import FORMAT, contradictions
from cloakbench.study.leftover import left_over

OUTPUTS = ("outputs/", "ladder/")  # where they lie
Derive = Callable[[], str | Iterable[str]]  # what a table has to be, as a whole or piece by piece


def differences(study: Path) -> Iterator[str]:
    """A line for everything that is not as it should be; none where the study holds.

    Files against their seals and against provenance.json, its config and its code's hashes included; stored pictures
    against their manifests; psr.csv derived anew from the ranks, table1.* from psr.csv, comparison.* from it and the
    paper's, and summary.html from the tables; the photographs, where there is still the folder that they were drawn
    from, against subjects.csv and enrolment.csv. What the study once made and no longer does is left aside.
    """
    try:
        facts, root = facts_of(study), photo_root(study)
    except InputError as error:
        yield from faults(study, thorough=True)
        yield f"{error} (without it nothing else can be checked)"
        return
    yield from faults(study, thorough=True, left_over=left_over(facts["config"]))
    yield from _files(study, facts["files"], kept=facts["config"].get("keep", {}).get("outputs", True))
    made = (study / name for name in facts["files"])
    yield from contradictions((path for path in made if path.exists()), facts["config"], facts["code"].values())
    yield from _pictures(study, facts["files"])
    for name, derive in _derivations(study, facts):
        yield from _derived(study / name, derive)
    if root.is_dir():
        try:
            yield from _photographs(study, root, facts["photos"])
        except InputError as error:
            yield str(error)


def _files(study: Path, hashes: Mapping[str, str], kept: bool) -> Iterator[str]:
    """kept: whether outputs were to stay."""
    for name, digest in hashes.items():
        if not (study / name).is_file():
            if name.startswith(OUTPUTS) and name.endswith(".npy") and not kept:
                continue
            yield f"{study / name}: is gone, provenance.json has its hash; run the study again"
        elif sha256(study / name) != digest:
            yield f"{study / name}: is not the file that provenance.json names; run the study again"


def _pictures(study: Path, files: Iterable[str]) -> Iterator[str]:
    for manifest in (study / name for name in files if name.startswith("manifests/")):
        folder = study / "stored" / manifest.relative_to(study / "manifests").with_suffix("")
        try:
            rows = read_table(manifest)
        except InputError:
            continue  # reported with the other files
        for file, digest in zip(rows["file"], rows["sha256"], strict=True):
            if not (folder / file).is_file() or sha256(folder / file) != digest:
                yield f"{folder / file}: is not the picture that was stored; delete the folder {folder} and run again"


def _derivations(study: Path, facts: Mapping) -> Iterator[tuple[str, Derive]]:
    """Each table's name and what it has to be, derived as the study's scripts do."""
    config = facts["config"]
    of = cache(lambda: judged(study, config))

    def anew(name: str) -> str:
        columns = (study / name).read_text(encoding="utf-8").partition("\n")[0].split(",")
        table = FROM_RANKS[name](of())
        return table[[column for column in table if column in columns]].to_csv(index=False)  # an earlier version's

    for name in FROM_RANKS:
        if name in facts["files"] or name == "psr.csv":
            yield name, lambda name=name: anew(name)
    for name, leaves in FROM_LEAVES.items():
        if name in facts["files"]:
            yield name, lambda leaves=leaves: leaves(study, config)
    if "faces.csv" in facts["files"]:
        yield "faces.csv", lambda: faces(study, config)
    against = cache(lambda: costed(study, config))
    for name, table in FROM_QUALITY.items():
        if name in facts["files"]:
            yield name, lambda table=table: table(against()).to_csv(index=False)
    told = cache(lambda: (read_psr(study / "psr.csv"), facts["about"]))
    for name, derive in TABLE1.items():
        if name in facts["files"]:
            yield name, lambda derive=derive: derive(*told())
    for name, beside in COMPARISON.items():
        if name in facts["files"]:
            yield name, lambda beside=beside: beside(*told(), of())
    if (study / "summary.html").exists():  # report.html has its seal alone: encoders of pictures differ
        yield "summary.html", lambda: summary(study)


def _derived(path: Path, derive: Derive) -> Iterator[str]:
    try:
        if not _same(path, derive()):
            yield f"{path}: differs from what its sources give; {REMEDY}"
    except (InputError, OSError, UnicodeDecodeError) as error:
        yield f"{path}: cannot be derived anew ({error})"


def _same(path: Path, derived: str | Iterable[str]) -> bool:
    """Whether a file holds that text, which may come piece by piece."""
    with path.open(encoding="utf-8", newline="") as file:
        pieces = [derived] if isinstance(derived, str) else derived
        return all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)


def _photographs(study: Path, root: Path, lists: Iterable[str]) -> Iterator[str]:
    for name in lists:
        rows = read_photos(study / name)
        for file, digest in zip(rows["file"], rows["sha256"], strict=True):
            if digest and not ((root / file).is_file() and sha256(root / file) == digest):
                yield f"{root / file}: is not the photo that was drawn; put it back, or --forcerun draw"


def photo_root(study: Path) -> Path:
    """Where the study's photographs lay when they were drawn. Raises InputError without a whole provenance.json."""
    return Path(facts_of(study)["about"]["root"] or study / "photos")


def facts_of(study: Path) -> dict:
    """provenance.json. Raises InputError if it is not whole, or of a later version."""
    facts = json.loads(intact(path := study / "provenance.json").read_text(encoding="utf-8"))
    if (found := facts.get("format", 1)) > FORMAT:
        later = f"{path}: of format {found}, as a later version of cloakbench writes it"
        raise InputError(f"{later}; this one reads format {FORMAT} and before: update it")
    return facts
