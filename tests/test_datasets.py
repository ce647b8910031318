"""Data sets on disk: who is in them, the class order of their heads, and how little of them is read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from cloakbench.errors import InputError
from cloakbench.photos.datasets import LOADERS, folder, lfw, vggface2
from cloakbench.study.classes import read_classes

HEADER = "Class_ID, Name, Sample_Num, Flag, Gender"
META = [
    HEADER,
    'n000001, "14th_Dalai_Lama", 424, 0,  m',
    'n000004, "Davis,_Jr.,_Sammy", 10, 1,  m',
    "n000003, Unquoted, with a comma, 12, 1, f",
    'n000002, "Zoë_\u2028_"Z"_Ø", 315, 1,  f',
    'n000005, "Not_on_this_disk", 1, 1,  f',
]
TRAINING = ("n000002", "n000003", "n000004", "n000005")


def plant(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


@pytest.fixture
def tree(tmp_path) -> Path:
    """Three training and two test identities, without the meta file."""
    train = [f"train/n00000{i}/{photo}.jpg" for i in (3, 2, 4) for photo in ("0002_01", "0001_01")]
    test = [f"test/n{i}/0001_01.jpg" for i in ("000001", "000029")]
    return plant(tmp_path / "vgg", *train, *test)


def write_meta(root: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    (root / "identity_meta.csv").write_bytes(end.join([*lines, ""]).encode(encoding))
    return root


def refused(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- VGGFace2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_vggface2_has_the_class_order_of_its_meta_file(tree, encoding, end):
    data = vggface2(write_meta(tree, META, encoding, end))
    assert data.identities == ("n000002", "n000003", "n000004")
    assert data.classes == TRAINING  # whoever is not on the disk keeps the unit
    assert data.photos("n000003") == [tree / "train/n000003" / name for name in ("0001_01.jpg", "0002_01.jpg")]
    assert data.root == tree


def test_vggface2_test_identities_have_no_class(tree):
    data = vggface2(write_meta(tree, [*META, 'n000029, "A", 5, 0, m']), split="test")
    assert data.identities == ("n000001", "n000029") and data.classes == TRAINING
    assert not set(data.identities) & set(data.classes)
    assert data.photos("n000029") == [tree / "test/n000029/0001_01.jpg"]


def test_vggface2_without_a_meta_file_has_the_folders_as_classes(tree):
    names = ("n000002", "n000003", "n000004")
    assert vggface2(tree).identities == vggface2(tree).classes == names
    assert vggface2(tree, split="test").classes == names
    (tree / "train").rename(tree / "elsewhere")
    assert vggface2(tree, split="test").classes is None


def test_vggface2_passes_over_what_the_meta_file_does_not_list(tree):
    plant(tree, "train/__MACOSX/x", "train/.Trash/x.jpg", "train/list.txt", "bb_landmark/loose_bb_train.csv")
    assert "__MACOSX" not in vggface2(write_meta(tree, META)).identities
    lost = write_meta(tree, [HEADER, 'n999999, "Else", 1, 1, m'])
    assert "none of its 3 folders is listed" in refused(vggface2, lost)


def test_vggface2_refuses_a_test_identity_among_the_training_ones(tree):
    plant(write_meta(tree, META), "train/n000001/0001_01.jpg")
    assert "train/n000001: identity_meta.csv has Flag 0, not train" in refused(vggface2, tree)
    plant(tree, "test/n000002/0001_01.jpg")
    assert "test/n000002: identity_meta.csv has Flag 1, not test" in refused(vggface2, tree, split="test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n000009, A, 5, 2, m", "line 7: expected Class_ID"),
        ("n000009, A, 5, 1", "line 7: expected"),
        ("n000009, A, many, 1, m", "line 7: expected"),
        (', "A", 5, 1, m', "line 7: expected"),
        ('n000009, "A, 5', "line 7: expected"),
        ("n000009; A; 5; 1; m", "line 7: expected"),
        ("n000009\tA\t5\t1\tm", "line 7: expected"),
        ("n000009, A, 5, , m", "line 7: expected"),
        ('n000002, "Again", 5, 1, m', "line 7: n000002 is on line 5 already"),
        ('"n000001", "In both splits", 5, 1, m', "line 7: n000001 is on line 2 already"),
        ("n000009, A\0, 5, 1, m", "line 7: not UTF-8"),
    ],
)
def test_a_meta_line_that_does_not_parse_is_named(tree, line, message):
    for read, argument in ((vggface2, tree), (read_classes, tree / "identity_meta.csv")):
        write_meta(tree, [*META, line])
        assert f"{tree / 'identity_meta.csv'}, {message}" in refused(read, argument)


def test_a_quote_left_open_ends_with_its_line(tree):
    write_meta(tree, [*META, 'n000009, "Open, 5, 1, m', "", 'n000010, "B", 5, 1, m'])
    assert vggface2(tree).classes == (*TRAINING, "n000009", "n000010")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: expected the header"),
        (b"<html>offline</html>\n", "line 1: expected the header"),
        (META[1].encode(), "line 1: expected the header"),
        (b"Class_ID, Flag\nn000001, 1\n", "line 1: expected the header"),
        (f"{HEADER}\n".encode(), "none of its 3 folders is listed"),
        (f"{HEADER}\nn000001, Zoë, 1, 1, f\n".encode("latin1"), "line 2: not UTF-8"),
        ("\n".join(META).encode("utf-16"), "line 1: not UTF-8"),
    ],
)
def test_a_file_that_is_no_meta_file_is_refused(tree, content, message):
    (tree / "identity_meta.csv").write_bytes(content)
    text = refused(vggface2, tree)
    assert message in text and str(tree / "identity_meta.csv") in text


def test_a_meta_file_that_cannot_be_read_is_not_taken_for_none(tree):
    (tree / "identity_meta.csv").symlink_to(tree / "nowhere.csv")
    assert "cannot be read" in refused(vggface2, tree)
    (tree / "identity_meta.csv").unlink()
    (tree / "identity_meta.csv").mkdir()
    assert "cannot be read" in refused(vggface2, tree)


def test_vggface2_of_another_shape_is_refused(tree, tmp_path):
    assert "dataset.split: 'val' is none of train, test" in refused(vggface2, tree, split="val")
    assert "dataset.root" in refused(vggface2, tmp_path / "none")
    inside = refused(vggface2, tree / "train")
    assert f"{tree / 'train' / 'train'} is not a folder; expected <root>/train/n000001/0001_01.jpg" in inside
    (tmp_path / "empty" / "train").mkdir(parents=True)
    assert "no identity folders" in refused(vggface2, tmp_path / "empty")
    assert "photos but no identity folders" in refused(vggface2, plant(tmp_path / "flat", "train/a.jpg"))


# --- LFW


NAMES = [f"{name}/{name}_000{i}.jpg" for name in ("Zoë_B", "Aaron_Eckhart") for i in (2, 1)]


@pytest.mark.parametrize("home", ["", "lfw", "lfw-deepfunneled"])
def test_lfw_as_unpacked(tmp_path, home):
    root = plant(tmp_path / "data", *(str(Path(home) / name) for name in NAMES), "pairs.txt")
    if home:  # what macOS puts beside a folder holds no photo
        plant(root, f"__MACOSX/{home}/Zoë_B/._Zoë_B_0001.jpg", ".cache/a/b.jpg", "notes/read.me")
    data = lfw(root)
    assert data.identities == ("Aaron_Eckhart", "Zoë_B") and data.classes is None
    assert data.photos("Zoë_B") == [root / home / "Zoë_B" / f"Zoë_B_000{i}.jpg" for i in (1, 2)]


def test_lfw_of_another_shape_is_refused(tmp_path):
    both = plant(tmp_path / "both", *(f"{home}/{name}" for home in ("lfw", "lfw-deepfunneled") for name in NAMES))
    message = refused(lfw, both)
    assert "lfw" in message and "lfw-deepfunneled" in message and "name one of them" in message
    assert "no folders with photos" in refused(lfw, plant(tmp_path / "deep", "a/b/c/photo.jpg"))
    assert "photos but no identity" in refused(lfw, plant(tmp_path / "flat", "photo.jpg"))
    assert "not a folder" in refused(lfw, tmp_path / "none")


# --- any tree


def test_hidden_folders_and_files_are_nobody(tmp_path):
    root = plant(tmp_path / "data", "a/1.jpg", "a/.DS_Store", "a/._1.jpg", ".Trash/1.jpg", "._a/1.jpg", "loose.jpg")
    assert folder(root).identities == ("a",) and folder(root).photos("a") == [root / "a/1.jpg"]
    assert "no identity folders" in refused(folder, plant(tmp_path / "hidden", ".git/config"))


def test_a_file_that_is_no_photo_is_left_to_the_draw(tmp_path):
    root = plant(tmp_path, "a/1.jpg", "a/notes.txt", "a/deeper/2.jpg")
    assert [path.name for path in folder(root).photos("a")] == ["1.jpg", "notes.txt"]


def test_links_are_followed_and_loops_are_not(tmp_path):
    root = plant(tmp_path / "data", "a/1.jpg")
    elsewhere = plant(tmp_path / "other disk", "b/2.jpg")
    (root / "b").symlink_to(elsewhere / "b")
    (root / "c").symlink_to(root / "c")
    (root / "d").symlink_to(root / "e")
    (root / "e").symlink_to(root / "d")
    (root / "gone").symlink_to(root / "nowhere")
    (root / "a" / "loop.jpg").symlink_to(root / "a" / "loop.jpg")
    (root / "a" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "a" / "linked.jpg").symlink_to(elsewhere / "b/2.jpg")
    (root / "a" / "up").symlink_to(root)
    data = folder(root)
    assert data.identities == ("a", "b")
    assert [path.name for path in data.photos("a")] == ["1.jpg", "linked.jpg"]
    assert data.photos("b") == [root / "b/2.jpg"]
    (root / "up").symlink_to(root)
    assert folder(root).photos("up") == [] and lfw(root).identities == ("a", "b", "up")


def test_names_that_tables_cannot_hold_are_refused(tmp_path):
    plant(tmp_path, "a/1.jpg")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/Zo\xeb")).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert "is not one line of UTF-8" in refused(folder, tmp_path)


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "\x1b[2Jb", "a\u2028b", "\x85"])
def test_names_that_would_break_a_line_are_refused(tmp_path, name):
    plant(tmp_path, f"{name}/1.jpg")
    message = refused(folder, tmp_path)
    assert repr(name) in message and len(message.splitlines()) == 1


def test_a_folder_that_has_gone_is_refused(tmp_path):
    data = folder(plant(tmp_path / "data", "a/1.jpg"))
    (tmp_path / "data").rename(tmp_path / "moved")
    assert "cannot be listed" in refused(data.photos, "a")


def test_every_loader_takes_a_root(tmp_path):
    plant(tmp_path, "train/a/1.jpg", "b/1.jpg")
    for load in LOADERS.values():
        assert load(tmp_path).identities


# --- how much is read


@pytest.fixture
def listed(monkeypatch) -> Counter:
    """How often each folder was listed, by any of the ways Python has."""
    counts: Counter = Counter()

    def counting(function):
        def wrapped(directory="."):
            counts[str(directory)] += 1
            return function(directory)

        return wrapped

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return counts


@pytest.mark.parametrize(
    ("load", "home", "extra"), [(folder, "", 0), (lfw, "", 1), (lfw, "lfw", 3), (vggface2, "train", 2)]
)
def test_only_the_folders_of_drawn_subjects_are_listed(tmp_path, listed, load, home, extra):
    """Of 2,000 identities with 5 photos, 100 are drawn: their folders are listed once, the others never."""
    names = [f"n{index:06}" for index in range(2, 2002)]
    for name in names:
        (tmp_path / home / name).mkdir(parents=True)
        for photo in range(5):
            os.mknod(tmp_path / home / name / f"{photo:04}_01.jpg")
    write_meta(tmp_path, [HEADER, *(f'{name}, "X", 5, 1, f' for name in names)])
    listed.clear()
    data = load(tmp_path)
    assert data.identities == tuple(names)
    assert listed.total() <= 1 + extra and not any(listed[str(tmp_path / home / name)] for name in names[1:])
    for name in names[::20]:
        assert len(data.photos(name)) == 5
    assert listed.total() <= 1 + extra + 100
    assert max(listed[str(tmp_path / home / name)] for name in names[1:]) == 1


# --- class lists


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_class_list_keeps_its_order(tmp_path, encoding):
    path = tmp_path / "classes.txt"
    path.write_text("n2\r\n Zoë, B \nn10\n007\nNA\n\n\n", encoding=encoding)
    assert read_classes(path) == ("n2", "Zoë, B", "n10", "007", "NA")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_meta_file_is_a_class_list(tmp_path, end):
    write_meta(tmp_path, META, "utf-8-sig", end)
    (tmp_path / "identity_meta.csv").rename(tmp_path / "labels")
    assert read_classes(tmp_path / "labels") == TRAINING


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected one identity a line"),
        (b"\n \n", "empty"),
        (b"a\n\nb\n", "line 2: empty"),
        (b"a\nb\na\n", "line 3: a is on line 1 already"),
        (b"a\n\xff\n", "line 2: not UTF-8"),
        (b"PK\x03\x04\0\0", "line 1: not UTF-8"),
        (b"Class_ID\nn000001\n", "line 1: expected the header"),
        (f"{HEADER}\n{META[1]}\n".encode(), "no identity has Flag 1"),
    ],
)
def test_a_class_list_that_cannot_be_meant_is_refused(tmp_path, content, message):
    (tmp_path / "classes.txt").write_bytes(content)
    assert message in refused(read_classes, tmp_path / "classes.txt")


def test_a_class_list_that_is_not_there_is_refused(tmp_path):
    assert "cannot be read" in refused(read_classes, tmp_path / "none.txt")
    assert "cannot be read" in refused(read_classes, tmp_path)
