"""Names of people: one name in two forms is one, what looks like another is told apart or refused with both shown."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from cloakbench.errors import InputError
from cloakbench.photos.datasets import LOADERS, folder, vggface2
from cloakbench.study.classes import read_classes
from cloakbench.study.names import appearance, composed, lookalike

NAMES = [
    "Ana",
    "Bo",
    "Chloé",
    "Dí",
    "Zoë",
    "Łukasz Żółć",
    "写真",
    "한글",
    "علی‌رضا",
]  # the last has a joiner that is heard


def form(name: str, names) -> list[str]:
    return [unicodedata.normalize(name, one) for one in names]


def put(root: Path, names) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "1.jpg").touch()
    return root


def lines(path: Path, names, end: str = "\n") -> Path:
    path.write_bytes(end.join([*names, ""]).encode())
    return path


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_a_name_is_one_in_either_form(tmp_path, disk, listed):
    data = folder(put(tmp_path / "photos", form(disk, NAMES)))
    assert data.identities == tuple(sorted(form("NFC", NAMES)))
    assert set(read_classes(lines(tmp_path / "list.txt", form(listed, NAMES)))) == set(data.identities)
    for name, stored in zip(form("NFC", NAMES), form(disk, NAMES), strict=True):
        assert data.photos(name) == [tmp_path / "photos" / stored / "1.jpg"]


def test_the_order_does_not_hang_on_the_form(tmp_path):
    """NFD puts é before f, NFC behind z: a copied data set would be drawn otherwise."""
    names = ["bé", "bf", "bz"]
    orders = {folder(put(tmp_path / one, form(one, names))).identities for one in ("NFC", "NFD")}
    assert orders == {("bf", "bz", "bé")}


@pytest.mark.parametrize(
    "pair",
    [
        tuple(form(one, ["Chloé"])[0] for one in ("NFC", "NFD")),
        ("Ana", "Ana "),
        ("Ana B", "Ana\u00a0B"),
        ("Ana", "Ana\u200b"),
        ("Ana", "\ufeffAna"),
        ("Ana", "A\u00adna"),
    ],
)
def test_two_folders_that_look_the_same_are_refused_with_both(tmp_path, pair):
    with pytest.raises(InputError) as refused:
        folder(put(tmp_path, [*pair, "Bo"]))
    message = str(refused.value)
    assert all(ascii(name) in message for name in pair) and "rename one" in message and "\n" not in message


@pytest.mark.parametrize("pair", [("con", "CON"), ("ab", "aB"), ("Ana B", "AnaB"), ("e", "é")])
def test_names_that_differ_to_the_eye_are_two(tmp_path, pair):
    assert set(folder(put(tmp_path, pair)).identities) == set(pair)


def test_every_loader_composes(tmp_path):
    put(tmp_path, form("NFD", ["Zoë"]))
    put(tmp_path / "train", form("NFD", ["Chloé"]))
    found = {name: load(tmp_path).identities for name, load in LOADERS.items()}
    assert found["vggface2"] == ("Chloé",) and vggface2(tmp_path).classes == ("Chloé",)
    assert found["folder"] == ("Zoë", "train")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("around", ["{}", "./{}", "{}/", "./{}/", "\ufeff{}", " {}\u00a0", "{}\t"])
def test_what_tools_put_around_a_name_in_a_list_is_taken_off(tmp_path, around, end):
    path = lines(tmp_path / "list.txt", [around.format(name) for name in ("Ana", "Dí", "写真")], end)
    assert read_classes(path) == ("Ana", "Dí", "写真")


def test_a_list_with_two_names_that_look_the_same_is_refused(tmp_path):
    for second, shown in ((form("NFD", ["Dí"])[0], "Dí"), ("D\u200bí", r"'D\u200b\xed'"), ("Dí", "Dí")):
        with pytest.raises(InputError, match="line 3") as refused:
            read_classes(lines(tmp_path / "list.txt", ["Dí", "Ana", second]))
        assert f"{shown} is on line 1 already" in str(refused.value)


@pytest.mark.parametrize("name", ["ana", "Ana\u200b", "Ana\u00a0", " Ana"])
def test_an_identity_that_looks_like_a_class_is_shown_with_it(recogniser, name):
    recogniser.classes = ["Bo", "Ana"]
    with pytest.raises(InputError) as refused:
        recogniser.labels([name])
    assert f"its 'Ana' looks like {name!a}" in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(InputError, match="'Eve' is not among the 2 classes of the recogniser: attack only"):
        recogniser.labels(["Bo", "Eve"])


def test_by_the_definition():
    assert composed("e\u0301") == "é" and appearance(" \ufeffZoe\u0308\u2003 B\u200d ") == "Zoë B"
    assert lookalike("ANA ", ["Bo", "Ana"]) == "Ana" and lookalike("Anna", ["Ana"]) is None
