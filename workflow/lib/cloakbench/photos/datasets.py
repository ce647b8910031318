"""Photographs by identity: who is in a data set, which photos there are, without opening one.

Standard library only, for the rule files.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.photos.not_photos import is_litter
from cloakbench.study.classes import META, flags_of, lines_of, training
from cloakbench.study.names import appearance, composed

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".jp2"})
SPLITS = {"train": True, "test": False}  # name of the folder: its identities have Flag 1


@dataclass(frozen=True)
class Dataset:
    """identities: sorted names, composed (NFC) whatever the disk has. photos(identity): sorted paths, listed when
    asked for, so that drawing a few subjects from millions of photographs does not read every folder. classes: the
    class order of softmax heads that were trained on the data set (unit i is classes[i]), None where there is no such
    order."""

    root: Path
    identities: tuple[str, ...]
    photos: Callable[[str], list[Path]]
    classes: tuple[str, ...] | None = None


def folder(root: Path) -> Dataset:
    """<root>/<identity>/<photo>. Raises InputError if the folder is missing, empty or flat."""
    _expect_folder(root, "<root>/<identity>/<photo>")
    return _dataset(root, root, _identities(root, "<root>/<identity>/<photo>"))


def lfw(root: Path) -> Dataset:
    """<root>/<Name>/<Name>_0001.jpg, or one level deeper, as the archives unpack (lfw/, lfw-deepfunneled/).

    Raises InputError if there are no such folders, or more than one copy of the data set under `root`.
    """
    expected = "<root>/<Name>/<Name>_0001.jpg"
    _expect_folder(root, expected)
    names = _identities(root, expected)
    # one folder with a photo in it settles the matter: the other 5,748 are not opened
    if any(_holds_photo(root / name) for name in names):
        return _dataset(root, root, names)
    inner = {name: _folders(root / name) for name in names}
    copies = [name for name in names if any(_holds_photo(root / name / below) for below in inner[name])]
    if len(copies) > 1:
        raise InputError(f"dataset.root: {root} holds {' and '.join(copies)}; name one of them as the root")
    if not copies:
        raise InputError(f"dataset.root: {root} holds no folders with photos; expected {expected}")
    return _dataset(root, root / copies[0], inner[copies[0]])


def vggface2(root: Path, split: str = "train") -> Dataset:
    """<root>/train/n000002/0001_01.jpg and <root>/test/n000001/...: the identities of one split.

    classes: the training identities in sorted order, for either split, so that test identities have none. They
    are those of Flag 1 in <root>/identity_meta.csv. Without that file they are the folders of train/, which is
    the order of published heads only if train/ is complete (8,631 folders); without train/ they are None.
    Raises InputError for a split that is unknown or not there, a meta file that does not parse, and folders
    that contradict it.
    """
    if split not in SPLITS:
        raise InputError(f"dataset.split: {split!r} is none of {', '.join(SPLITS)}")
    expected = f"<root>/{split}/n000001/0001_01.jpg"
    _expect_folder(root, expected)
    _expect_folder(root / split, expected)
    names = _identities(root / split, expected)
    if META in {entry.name for entry in _entries(root)}:  # a broken link to it is a mistake, not its absence
        flags = flags_of(root / META, lines_of(root / META))
        return _dataset(root, root / split, _of_split(root, names, flags, split), training(root / META, flags))
    trained = _folders(root / "train") if (root / "train").is_dir() else []
    return _dataset(root, root / split, names, trained or None)


def _of_split(root: Path, names: list[str], flags: dict[str, bool], split: str) -> list[str]:
    """The folders that the meta file puts into the split.

    A folder that it does not list is passed over: it is the data set's own list of who is in it, and what else
    lies there (__MACOSX, another tool's crops) is nobody of whom a class is known. A folder that it puts into the
    other split is a mistake that would attack test identities as if they had a class, or enrol training ones.
    """
    swapped = next((name for name in names if flags.get(name, SPLITS[split]) != SPLITS[split]), None)
    if swapped:
        raise InputError(f"{root / split / swapped}: {META} has Flag {int(flags[swapped])}, not {split}, for it")
    listed = [name for name in names if name in flags]
    if not listed:
        raise InputError(f"{root / split}: none of its {len(names)} folders is listed in {root / META}")
    return listed


def _dataset(root: Path, home: Path, names: list[str], classes: list[str] | tuple | None = None) -> Dataset:
    """Identities are the folders `names` of `home`; files are named relative to `root`, which the user gave."""
    folders = _by_identity(home, names)
    identities, classes = tuple(sorted(folders)), None if classes is None else tuple(map(composed, classes))
    return Dataset(root, identities, lambda identity: _photos(home / folders[identity]), classes)


def _by_identity(home: Path, names: list[str]) -> dict[str, str]:
    """Composed name to the folder's. Raises InputError for two folders whose names look the same."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(appearance(name), name)) != name:
            raise InputError(
                f"{home}: the folders {other!a} and {name!a} look the same; rename one, or put their photos into one"
            )
    return {composed(name): name for name in names}


def _expect_folder(directory: Path, expected: str) -> None:
    if not directory.is_dir():
        raise InputError(f"dataset.root: {directory} is not a folder; expected {expected}")


def _identities(directory: Path, expected: str) -> list[str]:
    names = _folders(directory)
    if not names:
        loose = any(_is_photo(entry) for entry in _entries(directory))
        found = "photos but no identity folders" if loose else "no identity folders"
        raise InputError(f"dataset.root: {directory} holds {found}; expected {expected}")
    return names


def _folders(directory: Path) -> list[str]:
    return _names(directory, lambda entry: entry.is_dir())


def _photos(directory: Path) -> list[Path]:
    """Every file that people have put there: a file that is no photo is passed over with a reason, not silently."""
    return [directory / name for name in _names(directory, lambda entry: entry.is_file())]


def _holds_photo(directory: Path) -> bool:
    return any(_is_photo(entry) for entry in _entries(directory))


def _is_photo(entry: os.DirEntry) -> bool:
    return Path(entry.name).suffix.lower() in PHOTO_SUFFIXES


def _names(directory: Path, wanted: Callable[[os.DirEntry], bool]) -> list[str]:
    """Sorted names of the wanted entries. Links are followed; one that leads nowhere or to itself is not wanted."""
    names = []
    for entry in _entries(directory):
        try:
            if wanted(entry):  # known from the listing itself: only links cost a call each
                names.append(entry.name)
        except OSError:
            continue
    foreign = next((name for name in names if not _is_text(name)), None)
    if foreign:
        raise InputError(f"{directory}: the name {foreign!r} is not one line of UTF-8, which tables need; rename it")
    return sorted(names)


def _is_text(name: str) -> bool:
    """One line of Unicode: no stray bytes, no control characters."""
    return name.encode("utf-8", "replace").decode() == name and not any(
        unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in name
    )


def _entries(directory: Path) -> Iterator[os.DirEntry]:
    """What a folder holds, but for hidden entries (.Trash-1000, ._0001.jpg) and others that systems make."""
    try:
        with os.scandir(directory) as entries:
            yield from (entry for entry in entries if not is_litter(entry.name))
    except OSError as error:
        raise InputError(f"{directory}: cannot be listed ({error.strerror})") from None


LOADERS: dict[str, Callable[..., Dataset]] = {
    "folder": folder,
    "synthetic": folder,
    "lfw": lfw,
    "vggface2": vggface2,
}
