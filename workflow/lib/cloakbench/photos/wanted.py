"""What a study wants of a data set. Standard library only."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from cloakbench.photos.datasets import LOADERS, SPLITS, Dataset


@dataclass(frozen=True)
class Wanted:
    """How many subjects, attacked photos a subject, enrolled photos an identity (0: nothing is enrolled).

    enrol_min: with as many an identity still stands in the gallery; a subject has `enrol`.
    seed: of the order in which identities and their photos are taken.
    """

    subjects: int
    photos: int
    enrol: int
    enrol_min: int
    seed: int = 0


def dataset_options(arguments: ArgumentParser) -> None:
    """Add the options that say where photos are, in what order they are taken, and where what was found is kept."""
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--loader", choices=sorted(LOADERS), required=True)
    arguments.add_argument("--split", choices=sorted(SPLITS), help="of VGGFace2")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--faces", type=Path, required=True, help="folder that keeps what was found in photos")


def dataset_of(options: Namespace) -> Dataset:
    """The data set of a command line with `dataset_options`."""
    return LOADERS[options.loader](options.root, **({"split": options.split} if options.split else {}))


def draw_options(arguments: ArgumentParser) -> None:
    """Add the options that say what is drawn, and of what."""
    dataset_options(arguments)
    arguments.add_argument("--subjects", type=int, required=True, help="N")
    arguments.add_argument("--photos", type=int, required=True, help="attacked photos a subject")
    arguments.add_argument("--enrol", type=int, required=True, help="enrolled photos an identity")
    arguments.add_argument("--enrol-min", type=int, required=True, help="with as many one still stands in the gallery")


def wanted(options: Namespace) -> tuple[Dataset, Wanted]:
    """The data set and what is wanted of it, of a command line with `draw_options`."""
    return dataset_of(options), Wanted(options.subjects, options.photos, options.enrol, options.enrol_min, options.seed)
