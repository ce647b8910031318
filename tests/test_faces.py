"""What was found in photos is kept by their content: exactly, whatever becomes of the process, for whoever it fits."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.jobs import devices
from cloakbench.photos import faces
from cloakbench.photos.datasets import folder
from cloakbench.photos.detectors import Detection
from cloakbench.photos.draw import detect
from cloakbench.photos.face_store import FaceStore
from cloakbench.photos.faces import Faces, known_faces
from cloakbench.photos.wanted import Wanted
from cloakbench.study.code import Library

ABOUT = {"detector": "a"}
CPU = torch.device("cpu")
AWKWARD = (0.1 + 0.2, 1e-323, -0.0, 2**53 + 0.0, float(np.float32(0.1)))
FACE = Detection(3.3000000000000003, 2.7, 25.1, 27.9, 0.99, tuple((5 + value % 9, 7.1) for value in AWKWARD), faces=2)


class Counting:
    """Finds FACE in every picture that is not black, and counts."""

    def __init__(self, seconds: float = 0):
        self.calls, self.seconds = 0, seconds

    def find(self, pictures):
        self.calls += len(pictures)
        time.sleep(self.seconds)
        return [FACE if np.asarray(picture).any() else None for picture in pictures]


def never():
    raise AssertionError("a detector is made")


@pytest.fixture
def tree(tmp_path, rng) -> Path:
    for identity in "abcdef":
        (tmp_path / "photos" / identity).mkdir(parents=True)
        for photo in range(4):
            pixels = rng.integers(1, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / identity / f"{photo}.png")
    return tmp_path / "photos"


def entries(store: FaceStore, digests) -> list:
    return [store.get(digest) for digest in digests]


def digests(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(1, count + 1)]


# --- the detector is asked once


def test_what_was_found_is_found_again_to_the_last_bit(tree, tmp_path):
    path, black, small = tree / "a/0.png", tree / "a/1.png", tree / "a/2.png"
    Image.new("RGB", (30, 30)).save(black)
    Image.new("RGB", (19, 30), "white").save(small)
    detector = Counting()
    first = Faces(lambda: detector, FaceStore(tmp_path / "store", ABOUT))
    found = [first.find(photo) for photo in (path, black, small)]
    assert found[0].face == FACE and [one.passed_over for one in found[1:]] == [
        "no face found",
        "19 x 30 pixels: too small for a face",
    ]
    again = Faces(never, FaceStore(tmp_path / "store", ABOUT))
    for one, other in zip(found, [again.find(photo) for photo in (path, black, small)], strict=True):
        assert (one.digest, one.passed_over, one.face) == (other.digest, other.passed_over, other.face)
    assert [value.hex() for value in FACE[:5]] == [value.hex() for value in again.find(path).face[:5]]
    for one, other in zip(found[0].looks, again.find(path).looks, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
            assert part.dtype == same.dtype
    assert detector.calls == 2 and (first.seen, first.known) == (3, 0) and (again.seen, again.known) == (0, 5)


def test_a_photo_is_known_under_another_name_and_not_with_another_content(tree, tmp_path):
    detector = Counting()
    known = Faces(lambda: detector, FaceStore(tmp_path / "store", ABOUT))
    known.find(tree / "a/0.png")
    (tree / "b/copy.jpg").write_bytes((tree / "a/0.png").read_bytes())
    known.find(tree / "b/copy.jpg")
    assert detector.calls == 1
    with (tree / "b/copy.jpg").open("ab") as file:
        file.write(b"\0")
    known.find(tree / "b/copy.jpg")
    assert detector.calls == 2


def test_what_cannot_be_read_is_tried_again(tree, tmp_path):
    """It may be readable by then; and no detector is needed for it."""
    path = tree / "a/0.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:-400])
    known = Faces(never, FaceStore(tmp_path / "store", ABOUT))
    assert known.find(path).passed_over.startswith("damaged image")
    assert not (tmp_path / "store").exists()


# --- the store


def test_a_damaged_line_is_not_there_and_the_others_are(tmp_path):
    store, names = FaceStore(tmp_path, ABOUT), digests(6)
    for number, digest in enumerate(names):
        store.put(digest, {"number": number})
    (path,) = store.folder.glob("*.lines")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"number":1', b'"number":7')
    lines[2] = b"\xff\0 nonsense\n\n"
    lines[3] = lines[3].replace(b"0004", b"0009", 1)
    path.write_bytes(b"".join(lines)[:-3])  # and a kill in the middle of the last
    again = FaceStore(tmp_path, ABOUT)
    assert entries(again, names) == [{"number": 0}, None, None, None, {"number": 4}, None]
    assert again.get(f"{9:064x}") is None
    for digest in names:
        again.put(digest, {"again": digest})
    assert entries(FaceStore(tmp_path, ABOUT), names)[1:4] == [{"again": digest} for digest in names[1:4]]


def test_a_file_that_is_damaged_or_gone_while_it_is_used(tmp_path):
    writer, (first, second) = FaceStore(tmp_path, ABOUT), digests(2)
    writer.put(first, {"number": 1})
    writer.put(second, {"number": 2})
    reader = FaceStore(tmp_path, ABOUT)
    (path,) = reader.folder.glob("*.lines")
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":3'))
    assert entries(reader, (first, second)) == [None, {"number": 2}]
    path.unlink()
    assert reader.get(second) is None


def forked(work) -> int:
    """`work` in a process of its own."""
    if pid := os.fork():
        return pid
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)


def test_two_write_at_once(tmp_path):
    names = digests(400)

    def write(mine):
        store = FaceStore(tmp_path, ABOUT)
        for digest in mine:
            store.put(digest, {"mine": digest, "filling": "x" * 3000})

    writers = [forked(lambda mine=mine: write(mine)) for mine in (names[:250], names[150:])]
    assert [os.waitpid(pid, 0)[1] for pid in writers] == [0, 0]
    reader = FaceStore(tmp_path, ABOUT)
    assert [entry["mine"] for entry in entries(reader, names)] == names
    assert len(list(reader.folder.glob("*.lines"))) == 2  # a file each: a network file system knows no atomic append


def test_a_search_that_is_killed_goes_on_where_it_was(tree, tmp_path):
    """All that was found by then is there, but for the photo that it was about to write."""
    search, calls = (folder(tree), Wanted(1, 1, 3, 3)), tmp_path / "calls"

    class Telling(Counting):
        def find(self, pictures):
            with calls.open("ab", buffering=0) as file:
                file.write(b".")
            return super().find(pictures)

    def store() -> FaceStore:
        return FaceStore(tmp_path / "store", ABOUT)

    pid = forked(lambda: detect(*search, Faces(lambda: Telling(0.02), store()), 0, 1))
    end = time.monotonic() + 60
    while not (calls.exists() and calls.stat().st_size > 6) and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    before, detector = len(store()._places), Counting()
    assert calls.stat().st_size - 1 <= before < 19
    table = detect(*search, Faces(lambda: detector, store()), 0, 1)
    assert len(table) == 4 + 5 * 3 and detector.calls == len(table) - before


def test_a_store_that_cannot_be_written_stops_in_one_line(tree, tmp_path):
    (tmp_path / "store").write_text("a file in its place")
    with pytest.raises(InputError, match=r"store/\w+: cannot be written \(.*\); make room") as refused:
        Faces(Counting, FaceStore(tmp_path / "store", ABOUT)).find(tree / "a/0.png")
    assert "\n" not in str(refused.value)


def test_a_disk_that_becomes_full_within_a_line(tmp_path):
    """A raw write may take a part of a line and only say so."""
    store, (first, second) = FaceStore(tmp_path, ABOUT), digests(2)
    store.put(first, {"number": 1})
    written = store._own

    class Full:
        name = written.name

        def tell(self):
            return written.tell()

        def write(self, line):
            return written.write(line[:20])

    store._own = Full()
    with pytest.raises(InputError, match="No space left on device"):
        store.put(second, {"number": 2})
    assert entries(FaceStore(tmp_path, ABOUT), (first, second)) == [{"number": 1}, None]


# --- whose numbers they are


@pytest.fixture
def key(tmp_path, monkeypatch):
    """The folder that a job's faces are kept in."""
    return lambda: known_faces(tmp_path, CPU)._store.folder.name


def test_what_decides_the_numbers_decides_the_store(key, monkeypatch):
    keys = [key()]
    assert key() == keys[0]
    changes = {
        "instructions": (devices, "name", lambda device: "cpu, x86_64, another"),
        "torch": (torch, "__version__", "2.15.0+other"),
        "a library": (faces, "version", lambda name: "0" if name == "pillow" else "1"),
        "threads": (torch, "get_num_threads", lambda: 5),
        "code": (faces, "DECIDING", ("images.read_photo",)),
    }
    for change in changes.values():
        with monkeypatch.context() as patched:
            patched.setattr(*change)
            keys.append(key())
    assert len(set(keys)) == 1 + len(changes)


EDITS = {
    ("photos/images.py", "Image.alpha_composite(", "Image.blend("): True,
    ("photos/detectors.py", "- 2 * (across**2", "- 3 * (across**2"): True,
    ("photos/detectors.py", "LEAST = 20", "LEAST = 30"): True,
    ("photos/looks.py", "MARGIN = 0.3", "MARGIN = 0.2"): True,
    ("photos/detectors.py", "How likely it is that", "Whether"): False,
    ("photos/images.py", "photo.load()", "photo.load()  # now"): False,
    ("photos/crops.py", "short_side / min(", "short_side / max("): False,
    ("photos/copies.py", "ALIKE = 32", "ALIKE = 31"): False,
    ("photos/draw.py", "attacked = 0", "attacked = -1"): False,
    ("photos/face_store.py", "indent=0", "indent=1"): False,
}


@pytest.mark.parametrize("edit", EDITS)
def test_the_code_that_counts_is_what_reads_detects_and_looks(edit, tmp_path):
    """An edit of a threshold for copies, or of the draw, detects nothing again."""
    library = Path(faces.__file__).parents[2]
    changed = shutil.copytree(library, tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    file, before, after = edit
    path = changed / "cloakbench" / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    def versions(root: Path) -> list[str]:
        return [Library(root).version(f"cloakbench.photos.{name}") for name in faces.DECIDING]

    assert (versions(changed) != versions(library)) == EDITS[edit]


def test_files_of_known_faces_name_the_versions_too(tmp_path, monkeypatch):
    """Nothing is detected or decoded, and still their seals say what it was done with."""
    monkeypatch.setattr(seals, "_facts", {})
    known_faces(tmp_path, CPU)
    assert {"facenet-pytorch", "torchvision", "pillow"} <= set(seals._facts)
