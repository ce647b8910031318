"""Detect and draw: the same tables as a draw that keeps nothing, however the search was shared, killed or repeated."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.files.seals import made_with, note, sha256
from cloakbench.photos.copies import Copies
from cloakbench.photos.datasets import folder
from cloakbench.photos.detectors import BOX, Detection, Detector, to_row
from cloakbench.photos.draw import TooFew, detect, draw, expected
from cloakbench.photos.drawn import not_drawn
from cloakbench.photos.face_store import FaceStore
from cloakbench.photos.faces import Faces
from cloakbench.photos.images import read_photo
from cloakbench.photos.looks import looks
from cloakbench.photos.passed_over import kind, told, write_passed_over
from cloakbench.photos.sample import attacked, enrolment_frame, read_photos, subjects_frame, write_photos
from cloakbench.photos.wanted import Wanted
from cloakbench.study.grid import MOST_SHARES, shares
from cloakbench.synthetic.render import render
from conftest import job_counts, snakemake


def put_people(root: Path, people: int, photos: int) -> Path:
    for person in range(people):
        (root / f"p{person}").mkdir(parents=True)
        for photo in range(photos):
            render(person, photo).save(root / f"p{person}/{photo}.jpg", quality=92)
    return root


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Seven rendered people with six photos each, and what one has to pass over."""
    root = put_people(tmp_path_factory.mktemp("people") / "photos", 7, 6)
    shutil.copy(root / "p1/0.jpg", root / "p2/of p1.jpg")
    shutil.copy(root / "p1/1.jpg", root / "p1/again.jpg")
    Image.open(root / "p3/0.jpg").save(root / "p4/of p3.jpg", quality=60)
    Image.new("RGB", (90, 90)).save(root / "p5/nobody.png")
    Image.new("RGB", (9, 9), "red").save(root / "p5/small.png")
    (root / "p6/0.jpg").write_bytes((root / "p6/0.jpg").read_bytes()[:-900])
    (root / "p6/clip.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    for photo in range(1, 6):
        (root / f"p0/{photo}.jpg").unlink()
    return root


class Fixed:
    """Finds the face where rendered photos have it, none on black; counts."""

    def __init__(self):
        self.calls = 0

    def find(self, pictures):
        self.calls += len(pictures)
        return [
            Detection(0.27 * p.width, 0.18 * p.height, 0.72 * p.width, 0.83 * p.height, 0.1 + 0.2)
            if np.asarray(p).any()
            else None
            for p in pictures
        ]


def slow_reference(root: Path, wanted: Wanted, detector) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The draw written out: no store, no shares, every photo read and looked at where it stands in the order."""
    names = sorted(path.name for path in root.iterdir())
    subjects, passed_over, enrolment, taken = [], [], [], Copies()
    for name in (names[i] for i in np.random.default_rng(wanted.seed).permutation(len(names))):
        attack = wanted.photos if len(subjects) < wanted.subjects * wanted.photos else 0
        if not attack and not wanted.enrol:
            break
        files = sorted((root / name).iterdir())
        order = np.random.default_rng([wanted.seed, zlib.crc32(name.encode())]).permutation(len(files))
        usable, none = [], {"identity": name} | dict.fromkeys(("file", "sha256"), "") | dict.fromkeys(BOX)
        if len(files) < (least := wanted.enrol_min or attack):
            reason = f"identity passed over: {len(files)} photos, {least} needed"
            passed_over.append(none | {"passed_over": reason} | to_row(None))
            continue
        for path in (files[i] for i in order):
            if len(usable) == attack + wanted.enrol:
                break
            file, face = path.relative_to(root).as_posix(), None
            if path.suffix == ".mov":
                reason = "a video: save a frame of it as JPEG"
            else:
                try:
                    picture = read_photo(path)
                    reason = f"{picture.width} x {picture.height} pixels: too small for a face"
                    if min(picture.size) >= 20:
                        face = detector.find([picture])[0]
                        reason = "no face found"
                        if face:
                            reason = taken.take(name, file, sha256(path), looks(picture, face))
                except InputError as error:
                    reason = str(error).removeprefix(f"{path}: ")
            if reason:
                passed_over.append(none | {"file": file, "passed_over": reason} | to_row(None))
            else:
                row = {"identity": name, "file": file, "sha256": sha256(path)} | dict.fromkeys(BOX)
                usable.append(row | {"passed_over": ""} | to_row(face))
        if len(usable) < (needed := attack + wanted.enrol if attack else least):
            reason = f"identity passed over: {len(usable)} usable photos, {needed} needed"
            passed_over.append(none | {"passed_over": reason} | to_row(None))
        if len(usable) < attack + wanted.enrol:
            attack = 0
        number = len(subjects) // wanted.photos
        subjects += [{"subject": number, "photo": k} | row for k, row in enumerate(usable[:attack])]
        if len(usable) - attack >= wanted.enrol_min:
            enrolment += usable[attack : attack + wanted.enrol]
    rows = subjects + [{"subject": None, "photo": None} | row for row in passed_over]
    return subjects_frame(rows), enrolment_frame(enrolment)


def text(frames) -> list[str]:
    return [frame.to_csv(index=False) for frame in frames]


def kept(folder_of_store: Path, detector) -> Faces:
    return Faces(lambda: detector, FaceStore(folder_of_store, {}))


CASES = [
    Wanted(3, 1, 3, 3, seed=0),
    Wanted(2, 2, 2, 1, seed=1),
    Wanted(4, 1, 0, 0, seed=2),
    Wanted(3, 2, 4, 2, seed=5),
]


@pytest.mark.parametrize("wanted", CASES)
@pytest.mark.parametrize("count", [0, 1, 3, 16])
def test_the_tables_are_those_of_a_draw_that_keeps_nothing(people, tmp_path, wanted, count):
    """However many shares were looked at beforehand; count 0: none."""
    for share in range(count):
        detect(folder(people), wanted, kept(tmp_path, Fixed()), share, count)
    for _ in range(2):
        assert text(draw(folder(people), wanted, 1, kept(tmp_path, Fixed()))) == text(
            slow_reference(people, wanted, Fixed())
        )


def test_the_tables_are_the_same_with_the_real_detector(people, tmp_path):
    detector, wanted = Detector(torch.device("cpu")), CASES[0]
    draw(folder(people), wanted, 1, kept(tmp_path, detector))

    def never():
        raise AssertionError("a detector is made")

    again = text(draw(folder(people), wanted, 1, Faces(never, FaceStore(tmp_path, {}))))
    assert again == text(slow_reference(people, wanted, detector))


def test_a_draw_after_the_shares_detects_nothing(tmp_path):
    root, wanted = put_people(tmp_path / "photos", 5, 4), Wanted(2, 1, 2, 2)
    detector = Fixed()
    tables = [detect(folder(root), wanted, kept(tmp_path / "store", detector), share, 3) for share in range(3)]
    looked_at = [file for table in tables for file in table["file"]]
    assert detector.calls == len(looked_at) == len(set(looked_at)) == 2 * 3 + 3 * 2
    draw(folder(root), wanted, 1, kept(tmp_path / "store", detector))
    assert detector.calls == len(looked_at)
    assert list(tables[0]) == ["identity", "file", "sha256", "passed_over"]
    assert all(sha256(root / row.file) == row.sha256 for table in tables for row in table.itertuples())


def test_another_seed_and_n_detect_nothing_again(people, tmp_path):
    detector = Fixed()
    faces = kept(tmp_path, detector)
    for identity in folder(people).identities:
        for path in folder(people).photos(identity):
            faces.find(path)
    once = detector.calls
    for wanted in CASES:
        draw(folder(people), wanted, 1, kept(tmp_path, detector))
        detect(folder(people), wanted, kept(tmp_path, detector), 0, 2)
    assert once and detector.calls == once


def test_what_the_shares_cannot_foresee_is_left_to_the_draw(people, tmp_path):
    """Nothing is looked at in vain: every photo of a share is one that the draw itself opens."""
    for wanted in CASES:
        opened = []

        class Watched(Faces):
            def find(self, path, opened=opened):
                opened.append(path)
                return super().find(path)

        draw(folder(people), wanted, 1, Watched(Fixed))
        drawn = set(opened)
        opened.clear()
        for share in range(3):
            detect(folder(people), wanted, Watched(Fixed), share, 3)
        assert set(opened) <= drawn and len(opened) == len(set(opened))


def test_without_a_gallery_the_shares_open_subjects_photos_alone(tmp_path):
    root, detector = put_people(tmp_path, 6, 3), Fixed()
    for share in range(4):
        detect(folder(root), Wanted(2, 1, 0, 0), Faces(lambda: detector), share, 4)
    assert detector.calls == 2
    assert len(list(expected(folder(root), Wanted(2, 1, 0, 0)))) == 2


def test_the_number_of_shares_follows_from_n_alone():
    assert [shares(n) for n in (1, 3, 8, 62, 100, 10_000)] == [1, 1, 2, 8, 13, MOST_SHARES]


# --- too few


def test_a_draw_that_fails_tells_why_and_lists_what_it_passed_over(people, tmp_path):
    with pytest.raises(TooFew) as refused:
        draw(folder(people), Wanted(7, 1, 3, 3), 1, Faces(Fixed))
    message = str(refused.value)
    assert "usable photos each, 7 asked for; lower dataset.subjects (7)" in message and "\n" not in message
    assert re.search(r"; \d+ photos passed over: .*\b1 x a video: save a frame of it as JPEG", message)
    assert "1 x no face found" in message and "x same picture as another" in message and len(message) < 1000
    write_passed_over(tmp_path / "logs/passed_over.csv", refused.value.photos)
    table = pd.read_csv(tmp_path / "logs/passed_over.csv")
    assert list(table) == ["identity", "file", "passed_over"] and "p5/nobody.png" in set(table["file"])


def test_reasons_are_counted_by_their_kind():
    reasons = {
        "same picture as a/b (1).jpg": "same picture as another",
        "nearly the same picture as x": "nearly the same picture as another",
        "9 x 12 pixels: too small for a face": "too small for a face",
        "damaged image (image file is truncated (3 bytes not processed)); copy it": "damaged image; copy it",
        "face box (1.0, 2.0, 3.0, 4.0) is empty": "face box is empty",
        "HEIC: convert it to JPEG": "HEIC: convert it to JPEG",
    }
    assert {reason: kind(reason) for reason in reasons} == reasons
    many = pd.DataFrame(
        {"file": ["x"] * 400, "passed_over": [f"reason {'x' * (n % 40)}{'y' * 300}" for n in range(400)]}
    )
    assert len(told(many)) < 800 and "400 photos" in told(many) and "35 other reasons" in told(many)
    assert told(pd.DataFrame({"file": [""], "passed_over": ["identity passed over: 1 photos, 2 needed"]})) == ""


# --- moved photographs


@pytest.fixture
def tables(people, tmp_path) -> list[Path]:
    made_with({})
    note(root=str(people))
    frames = draw(folder(people), CASES[0], 1, Faces(Fixed))
    paths = [tmp_path / "subjects.csv", tmp_path / "enrolment.csv"]
    for path, frame in zip(paths, frames, strict=True):
        write_photos(path, frame)
    return paths


def test_photographs_that_have_moved_are_the_same(people, tables, tmp_path, monkeypatch):
    moved = shutil.copytree(people, tmp_path / "=elsewhere")
    assert not_drawn(tables, str(moved)) == ""
    unused = moved / attacked(read_photos(tables[0]))["file"][0].split("/")[0] / "one more.jpg"
    unused.write_bytes(b"more")
    assert not_drawn(tables, str(moved)) == ""
    drawn = moved / read_photos(tables[1])["file"][2]
    drawn.write_bytes(drawn.read_bytes() + b"\0")
    assert not_drawn(tables, str(moved)) == f"{drawn}: is not the photo that was drawn from {people}"
    drawn.unlink()
    assert str(drawn) in not_drawn(tables, str(moved))
    assert "drawn from" in not_drawn(tables, str(tmp_path / "nowhere"))


def test_nothing_is_read_where_nothing_has_moved(people, tables, tmp_path, monkeypatch):
    monkeypatch.setattr("cloakbench.photos.drawn.sha256", lambda path: pytest.fail("a photo is read"))
    assert not_drawn(tables, str(people)) == ""
    assert not_drawn([tmp_path / "none.csv"], "elsewhere") == ""
    Path(tables[0].with_name(".subjects.csv.seal")).write_text("damaged")
    assert not_drawn(tables[:1], "elsewhere") == ""


# --- as a user runs it


STUDY = {
    "study": "drawn",
    "dataset": {"loader": "folder", "root": "photos", "subjects": 2, "enrol": 2},
    "matrix": {"source": ["small"], "attack": ["bim"], "eps": [2], "target": ["small"]},
    "models": {
        "small": {"arch": "small_resnet", "weights": "trained", "head": "softmax", "crop": "tight160"}
        | {"mean": 127.5, "std": 128}
    },
    "top_k": [1],
    "training": {"epochs": 1},
    "gate": {"clean_top1": 0},
    "compute": {"device": "cpu", "batch": 2},
}


CROPS = ("results/drawn/subjects/tight160.npy", "results/drawn/enrolment/tight160.npy")


def run(directory: Path, *options, seed: int = 0, **dataset) -> subprocess.CompletedProcess:
    study = STUDY | {"seed": seed, "dataset": STUDY["dataset"] | dataset}
    (directory / "study.yaml").write_text(yaml.safe_dump(study))
    return snakemake(directory, "--cores", 1, "--configfile", directory / "study.yaml", *options, "--", *CROPS)


def looked_at(directory: Path) -> list[tuple[int, int]]:
    """By the logs of detect and draw: how many photos were looked at, how many were known from before."""
    logs = [directory / "logs/drawn/detect/0.log", directory / "logs/drawn/draw.log"]
    found = [re.search(r"faces: (\d+) photos looked at, (\d+) known from before", log.read_text()) for log in logs]
    return [(int(one[1]), int(one[2])) for one in found]


def test_a_second_draw_and_moved_photographs(tmp_path):
    """Moved photographs redo nothing, others in their place are drawn anew; another N looks at what is new, another
    seed at nothing."""
    put_people(tmp_path / "photos", 4, 3)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert looked_at(tmp_path) == [(10, 0), (0, 10)]  # two with 1 + 2 photos, two with 2

    (tmp_path / "photos").rename(tmp_path / "my photos")
    for options in ((), ("--rerun-triggers", "mtime")):
        plan = run(tmp_path, "-n", *options, root="my photos")
        assert plan.returncode == 0 and job_counts(plan.stdout) == {}, plan.stdout + plan.stderr
    others = shutil.copytree(tmp_path / "my photos", tmp_path / "others")
    for photo in (others / "p1").iterdir():
        render(9, int(photo.stem)).save(photo)
    plan = run(tmp_path, "-n", root="others")
    assert job_counts(plan.stdout) == {"detect": 1, "draw": 1, "crop": 1, "crop_enrolled": 1}, plan.stdout + plan.stderr
    assert "is not the photo that was drawn from photos; the study is drawn anew" in plan.stderr

    done = run(tmp_path, root="my photos", subjects=4)
    assert done.returncode == 0, done.stderr
    assert looked_at(tmp_path) == [(2, 10), (0, 12)]
    done = run(tmp_path, root="my photos", seed=5)
    assert done.returncode == 0, done.stderr
    assert looked_at(tmp_path) == [(0, 10), (0, 10)]


def test_nothing_but_heic(tmp_path):
    for person in range(4):
        (tmp_path / "photos" / f"p{person}").mkdir(parents=True)
        for photo in range(5):
            file = tmp_path / "photos" / f"p{person}" / f"IMG_{photo}.HEIC"
            file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes([person, photo]))
    done = run(tmp_path)
    (line,) = {line for line in done.stderr.splitlines() if line.startswith("cloakbench draw: error:")}
    assert done.returncode != 0 and len(line) < 1000
    assert "20 photos passed over: 20 x HEIC: convert it to JPEG; each one in logs/drawn/passed_over.csv" in line
    assert len(pd.read_csv(tmp_path / "logs/drawn/passed_over.csv")) == 24
