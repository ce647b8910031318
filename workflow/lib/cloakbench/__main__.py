"""The command `cloakbench`: what can be asked of a finished study, and of photos and weights before one."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from cloakbench.errors import InputError


def main() -> None:
    parser = ArgumentParser(prog="cloakbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="check every hash of a study and derive its tables anew")
    verify.add_argument("study", type=Path, help="results/<study>")
    verify.set_defaults(run=run_verify)
    summary = commands.add_parser("summary", help="a study's PSR as a small Markdown table, and what it was made from")
    summary.add_argument("study", type=Path, help="results/<study>")
    summary.add_argument("--top-k", type=int, default=1, metavar="K")
    summary.set_defaults(run=run_summary)
    compare = commands.add_parser("compare", help="every attack of a study against one of them, on the same faces")
    compare.add_argument("study", type=Path, help="results/<study>")
    compare.add_argument("--reference", metavar="ATTACK", help="or clean; the study's own if not given")
    compare.add_argument("--top-k", type=int, default=1, metavar="K")
    compare.set_defaults(run=run_compare)
    show = commands.add_parser(
        "show", help="rows and columns of a study's table in Markdown, and what it was made from"
    )
    show.add_argument("study", type=Path, help="results/<study>")
    show.add_argument("table", help="needed.csv, say")
    show.add_argument("where", nargs="*", metavar="COLUMN=VALUE", help="rows, `attack=bim,illc` say; all if not given")
    show.add_argument("--columns", nargs="+", metavar="COLUMN", help="all if not given")
    show.set_defaults(run=run_show)
    repeats = commands.add_parser(
        "repeats", help="studies that repeat each other: other people, random numbers, machines"
    )
    repeats.add_argument("studies", type=Path, nargs="+", help="results/<study> ...")
    repeats.add_argument("--top-k", type=int, default=1, metavar="K")
    repeats.set_defaults(run=run_repeats)
    export = commands.add_parser("export", help="a study's tables and ranks without names, paths or pictures")
    export.add_argument("study", type=Path, help="results/<study>")
    export.add_argument("--output", type=Path, metavar="FOLDER", help="export/<study> if not given")
    export.set_defaults(run=run_export)
    copies = commands.add_parser("copies", help="list the photos of a folder that a study would pass over")
    copies.add_argument("root", type=Path, help="<root>/<identity>/<photo>")
    copies.add_argument("--altered", type=int, default=0, metavar="N", help="alter N photos: are these copies found?")
    copies.set_defaults(run=run_copies)
    npm = commands.add_parser("convert-npm", help="make weights for arch: dlib_resnet from @vladmandic/face-api")
    npm.add_argument("folder", type=Path, help="the unpacked package, or its folder model")
    npm.add_argument("--output", type=Path, required=True, help="weights/dlib_resnet.safetensors, say")
    npm.set_defaults(run=run_convert_npm)
    options = parser.parse_args()
    try:
        sys.exit(options.run(options))
    except InputError as error:
        sys.exit(f"cloakbench {options.command}: error: {error}")
    except BrokenPipeError:  # whoever reads, `head` say, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_verify(options: Namespace) -> int:
    """Print every difference; the exit status is 1 if there is any."""
    from cloakbench.report.verify import differences, photo_root  # slow to import, so not for --help

    found = list(differences(options.study))
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        return 1
    root = photo_root(options.study)
    photos = "" if root.is_dir() else f" (not checked: the photographs, there is no folder {root} here)"
    print(f"{options.study}: every file is what was written, every table follows from the ranks{photos}")
    return 0


def run_summary(options: Namespace) -> int:
    """Print the table and a line with what a reader needs to repeat it."""
    from cloakbench.measures.cells import read_psr  # slow to import, so not for --help
    from cloakbench.report.tables import summary
    from cloakbench.report.verify import facts_of

    strongest = options.study / "strongest.csv"
    tables = read_psr(options.study / "psr.csv"), read_psr(strongest) if strongest.exists() else None
    facts = facts_of(options.study)
    print(summary(tables[0], options.top_k, tables[1], facts["config"]))
    print(f"\nTop-{options.top_k} PSR in percent with 95 % Wilson intervals; {_repeatable(facts)}")
    return 0


def run_compare(options: Namespace) -> int:
    """Print a row a cell, with the difference to the reference on the same faces and how likely chance makes it."""
    from cloakbench.measures.cells import read_cells  # slow to import, so not for --help
    from cloakbench.report.tables import comparison
    from cloakbench.report.verify import facts_of
    from cloakbench.statistics.paired import compare
    from cloakbench.study.grid import reference

    facts = facts_of(options.study)
    config = facts["config"]
    ranks = read_cells(options.study / "ranks", config["matrix"])
    against = options.reference or reference(config)
    table = compare(ranks, against, options.top_k, config["detection"]["missed"])
    print(comparison(table, against))
    said = f"Top-{options.top_k} PSR in percent, and its difference to {against} on the same faces in percentage"
    said += (
        " points with Newcombe's 95 % interval; p: mid-p of McNemar's exact test (sign flips of subjects with several"
    )
    said += f" photos), adjusted by Tarone and Holm over these {len(table)} comparisons"
    print(f"\n{said}; {_repeatable(facts)}")
    return 0


def run_show(options: Namespace) -> int:
    """Print the rows, and a line with what a reader needs to repeat them."""
    from cloakbench.files.reading import read_table  # slow to import, so not for --help
    from cloakbench.report.empty import why_absent, why_empty
    from cloakbench.report.tables import plain
    from cloakbench.report.verify import facts_of
    from cloakbench.study.keys import NAMES

    facts = facts_of(options.study)
    if not (options.study / options.table).is_file():
        raise InputError(f"{options.table}: {why_absent(options.table, facts)}")
    names = dict.fromkeys(NAMES, str)  # eps too: of needed.csv it may be "< 4"
    table = read_table(options.study / options.table, dtype=names, keep_default_na=False, na_values=[""])
    conditions = [part.partition("=")[::2] for part in options.where]
    asked = [*(column for column, _ in conditions), *(options.columns or [])]
    if unknown := [column for column in asked if column not in table]:
        raise InputError(f"{options.table}: no column {unknown[0]!r}; known: {', '.join(table)}")
    for column, values in conditions:
        table = table[table[column].astype(str).isin(values.split(","))]
    if table.empty:
        raise InputError(f"{options.table}: no row with {' '.join(options.where)}")
    shown = options.columns or [*table]
    print(plain(table[shown]))
    for line in why_empty(table, shown):
        print(f"\n{line}")
    print(f"\n{options.table} of {_repeatable(facts)}")
    return 0


def run_repeats(options: Namespace) -> int:
    """Print a row a cell, and what its numbers are."""
    from cloakbench.report.repeats import KINDS, repeated  # slow to import, so not for --help
    from cloakbench.report.tables import plain

    kind, table, facts = repeated(options.studies, options.top_k)
    print(plain(table))
    print(f"\n{KINDS[kind][0]}. Top-{options.top_k} PSR in percent, differences in percentage points.")
    print(*(f"- {_repeatable(told)}" for told in facts), sep="\n")
    return 0


def run_export(options: Namespace) -> int:
    """Write what may be given to others; print where."""
    from cloakbench.report.export import export  # slow to import, so not for --help

    output = options.output or Path("export") / options.study.resolve().name
    files = export(options.study, output)
    print(f"{output}: {len(files)} files, no name, path or picture in them; docs/data.md says what they still tell")
    return 0


def _repeatable(facts: Mapping) -> str:
    """What a reader needs to repeat a table of a finished study. facts: its provenance.json."""
    digest = hashlib.sha256(json.dumps(facts["config"], sort_keys=True).encode()).hexdigest()
    sources = [f"commit {facts.get('commit') or 'unknown'}", f"config {digest[:12]}", *facts["devices"]]
    people = f"N = {facts['about']['subjects']}, seed {facts['config']['seed']}"
    return f"study {facts['config']['study']}, {people}; {', '.join(sources)}"


def run_copies(options: Namespace) -> int:
    """Print a line a photo that is a copy or of no use; with --altered, how many altered copies are found."""
    from cloakbench.jobs import devices
    from cloakbench.photos.copy_check import altered, passed_over
    from cloakbench.photos.datasets import folder
    from cloakbench.photos.detectors import Detector

    dataset, detector = folder(options.root), Detector(devices.use("cpu", 1))
    if options.altered:
        photos = [path for identity in dataset.identities for path in dataset.photos(identity)]
        some = photos[:: max(1, len(photos) // options.altered)][: options.altered]
        print(altered(some, detector).to_string(index=False))
        return 0
    for photo in passed_over(dataset, detector):
        print(f"{photo.file}: {photo.passed_over}", flush=True)
    return 0


def run_convert_npm(options: Namespace) -> int:
    """Write the weights; print where they come from and what a config may demand of them."""
    from cloakbench.files.seals import sha256
    from cloakbench.recognisers.npm import convert_npm  # slow to import, so not for --help

    for name, digest in convert_npm(options.folder, options.output).items():
        print(f"{name}: sha256 {digest}")
    print(f"{options.output}: sha256 {sha256(options.output)}")
    return 0


if __name__ == "__main__":
    main()
