"""The face that counts: which of several, when none does, and its way through tables."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.measures.classify import classify
from cloakbench.measures.look import look
from cloakbench.photos.datasets import folder
from cloakbench.photos.detectors import BOX, COLUMNS, POINTS, Detection, Detector, choose, from_row, to_row
from cloakbench.photos.draw import draw
from cloakbench.photos.faces import Faces
from cloakbench.photos.sample import attacked, cut_faces, read_photos, write_photos
from cloakbench.photos.wanted import Wanted
from cloakbench.publishing.redetect import redetect
from cloakbench.publishing.store import store
from cloakbench.synthetic.render import render

FIVE = ((40.25, 50.5), (70.0, 51.0), (55.0, 70.0), (42.0, 90.0), (69.0, 91.0))
FACE = Detection(20.5, 10.0, 90.0, 110.0, 0.99, FIVE)
SIZE = (120, 130)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(torch.device("cpu"))


def group(person: int, photo: int) -> Image.Image:
    """The person stands in the middle, a stranger's face in the corner is larger."""
    scene = Image.new("RGB", (480, 320), (120, 130, 140))
    scene.paste(render(person, photo).resize((170, 170)), (155, 75))
    scene.paste(render((person + 1) % 4, 10 + photo).resize((190, 190)), (290, 0))
    return scene


def in_the_middle(face: Detection) -> bool:
    return 155 < (face.left + face.right) / 2 < 325


def test_of_several_faces_the_one_in_the_middle_counts(detector):
    for person in range(4):
        face = detector.find([group(person, 0)])[0]
        assert face.faces == 2 and in_the_middle(face)
        assert all(face.left < x < face.right and face.top < y < face.bottom for x, y in face.points)


def test_the_person_in_the_middle_is_attacked_and_enrolled(detector, tmp_path):
    for person in range(2):
        (tmp_path / f"p{person}").mkdir()
        for photo in range(3):
            group(person, photo).save(tmp_path / f"p{person}" / f"{photo}.jpg", quality=95)
    subjects, enrolment = draw(folder(tmp_path), Wanted(2, 1, 2, 2), 1, Faces(lambda: detector))
    for table in (subjects, enrolment):
        assert (table["faces"] == 2).all() and table[["left", "right"]].mean(axis=1).between(155, 325).all()


def test_size_less_distance_from_the_centre():
    """Written out: 60 * 60 - 2 * 0 against 80 * 80 - 2 * (50 * 50 + 0); moved nearer the large one counts."""
    small, large = Detection(120, 70, 180, 130, 0.8), Detection(160, 60, 240, 140, 1.0)
    assert choose([large, small], (300, 200)) == small._replace(faces=2)
    near = Detection(140, 60, 220, 140, 0.7)  # 6400 - 2 * 30 * 30
    assert choose([near, small], (300, 200)) == near._replace(faces=2)
    assert choose([], (300, 200)) is None


def test_a_faulty_face_counts_only_where_there_is_no_other():
    faulty, usable = Detection(50, 50, 50, 50, 1.0), Detection(0, 0, 30, 30, 0.7)
    assert choose([faulty, usable], (100, 100)) == usable._replace(faces=2)
    assert choose([faulty], (100, 100)) == faulty


def test_asking_for_points_moves_no_box(detector):
    """The whole batch, whatever arrays come back: with a face each, with as many each, with none in some."""
    one, two, none = render(0, 0).resize((480, 320)), group(0, 0), Image.new("RGB", (480, 320))
    for pictures in ([one], [two], [none], [one, one], [two, two], [one, two], [two, none, one], [none, none]):
        boxes, confidences = detector.mtcnn.detect(pictures)
        for face, some, sure in zip(detector.find(pictures), boxes, confidences, strict=True):
            expected = [] if some is None else [(*map(float, box), float(p)) for box, p in zip(some, sure, strict=True)]
            assert (face is None) == (expected == [])
            if face:
                assert tuple(to_row(face)[name] for name in BOX) in expected and face.faces == len(expected)
                assert np.array(face.points).shape == (5, 2) and np.array(face.points).dtype == np.float64


@pytest.mark.parametrize("face", [FACE, FACE._replace(points=None), FACE._replace(faces=3), None])
def test_a_face_survives_a_table(face):
    table = pd.DataFrame([to_row(face), to_row(FACE), to_row(None)]).astype(COLUMNS)
    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert [from_row(row._asdict()) for row in read.itertuples()] == [face, FACE, None]
    assert list(table) == [*BOX, *POINTS, "faces"]


def test_points_are_named_in_their_order():
    row = to_row(FACE)
    assert (row["left_eye_x"], row["left_eye_y"], row["right_eye_x"], row["nose_y"]) == (40.25, 50.5, 70.0, 70.0)
    assert (row["left_mouth_x"], row["right_mouth_y"]) == (42.0, 91.0)


FAULTY = {
    "empty or lies outside": [
        FACE._replace(right=20.5),
        FACE._replace(left=90.0, right=20.5),
        FACE._replace(bottom=10.9),
        FACE._replace(left=130.0, right=200.0),
        FACE._replace(top=-80.0, bottom=0.5),
    ],
    "not finite": [
        FACE._replace(left=math.nan),
        FACE._replace(bottom=math.inf),
        FACE._replace(points=((math.nan, 50.0), *FIVE[1:])),
        FACE._replace(points=(*FIVE[1:], (5.0, -math.inf))),
    ],
    "lie in one place": [FACE._replace(points=((50.0, 50.0),) * 5), FACE._replace(points=((50.0, 50.5),) * 5)],
    "points of the face lie outside": [FACE._replace(points=tuple((x + 200, y) for x, y in FIVE))],
}
FAULTS = [(face, reason) for reason, faces in FAULTY.items() for face in faces]


def test_a_face_that_reaches_over_the_edge_has_no_fault():
    over = FACE._replace(left=-30.0, bottom=500.0, points=tuple((x - 45, y) for x, y in FIVE))
    assert not FACE.fault(SIZE) and not FACE._replace(points=None).fault(SIZE) and not over.fault(SIZE)


class Finds:
    """Finds the same in every picture."""

    def __init__(self, face: Detection | None):
        self.face = face

    def find(self, pictures):
        return [self.face] * len(pictures)


@pytest.fixture
def tree(tmp_path, rng):
    for identity in "ab":
        (tmp_path / identity).mkdir()
        for photo in range(3):
            Image.fromarray(rng.integers(0, 256, (130, 120, 3), dtype=np.uint8)).save(
                tmp_path / identity / f"{photo}.png"
            )
    return tmp_path


@pytest.mark.parametrize(("face", "reason"), FAULTS)
def test_a_faulty_face_is_passed_over_and_not_found_again(face, reason, tree):
    class Sometimes(Finds):
        calls = 0

        def find(self, pictures):
            self.calls += 1
            return [FACE if self.calls % 3 else face]

    subjects, _ = draw(folder(tree), Wanted(2, 1, 1, 1), 1, Faces(lambda: Sometimes(face)))
    assert subjects["passed_over"].str.contains(reason).any()
    faces = np.zeros((2, *SIZE[::-1], 3), np.uint8)
    manifest = store(faces, attacked(subjects), {"format": "png"}, tree / "stored")
    again = redetect(manifest, tree / "stored", Finds(face), batch=1)
    assert list(again["detected"]) == [0, 0] and again[list(COLUMNS)].isna().all(axis=None)


def test_columns_are_appended(tree, tmp_path):
    subjects, enrolment = draw(folder(tree), Wanted(1, 1, 2, 2), 1, Faces(lambda: Finds(FACE)))
    box = ["left", "top", "right", "bottom", "confidence"]
    appended = [*POINTS, "faces"]
    photo = ["identity", "file", "sha256"]
    assert list(subjects) == ["subject", "photo", *photo, *box, "passed_over", *appended]
    assert list(enrolment) == [*photo, *box, *appended]
    write_photos(tmp_path / "subjects.csv", subjects)
    read = attacked(read_photos(tmp_path / "subjects.csv"))
    assert [from_row(row._asdict()) for row in read.itertuples()] == [FACE]
    manifest = store(np.zeros((1, 130, 120, 3), np.uint8), read, {"format": "png"}, tmp_path / "stored")
    for face in (FACE, None):
        found = redetect(manifest, tmp_path / "stored", Finds(face), batch=4)
        assert list(found) == ["subject", "photo", "file", "sha256", "detected", *box, *appended]
        assert [from_row(row._asdict()) for row in found.itertuples()] == [face]


def test_a_crop_that_cannot_be_cut_names_the_file(tree, recogniser):
    """Whatever sampling and re-detection let through: a table made by another version, another detector."""
    subjects, _ = draw(folder(tree), Wanted(1, 1, 2, 2), 1, Faces(lambda: Finds(FACE._replace(points=None))))
    chosen, aligned = attacked(subjects), {"size": 112, "align": "arcface", "margin": 0}
    with pytest.raises(InputError, match=r"\d\.png: align: arcface needs the five points"):
        cut_faces(chosen, tree, aligned, np.zeros((1, 112, 112, 3), np.uint8))
    manifest = store(np.zeros((1, 130, 120, 3), np.uint8), chosen, {"format": "png"}, tree / "stored")
    found = redetect(manifest, tree / "stored", Finds(FACE._replace(points=None)), batch=1)
    output = tree / "outputs.npy"
    with pytest.raises(InputError, match=r"stored/00000_00\.png: align: arcface needs the five points"):
        look(found, tree / "stored", recogniser, aligned, "protected", 1, torch.device("cpu"), output)
    with pytest.raises(InputError, match=r"stored/00000_00\.png: face box .* lies outside"):
        box = {"size": 16, "margin": 0}
        away = found.assign(left=500.0, right=600.0)
        look(away, tree / "stored", recogniser, box, "protected", 1, torch.device("cpu"), output)


@pytest.mark.parametrize("missed", ["protected", "whole_crop"])
def test_the_share_outside_is_said_of_every_face_that_is_shown(tree, recogniser, missed):
    subjects, _ = draw(folder(tree), Wanted(2, 1, 2, 2), 1, Faces(lambda: Finds(FACE)))
    manifest = store(np.zeros((2, 130, 120, 3), np.uint8), attacked(subjects), {"format": "png"}, tree / "stored")

    class FirstOnly:
        def find(self, pictures):
            return [FACE._replace(points=tuple((x - 30, y) for x, y in FIVE)), None]

    found = redetect(manifest, tree / "stored", FirstOnly(), batch=2)
    recogniser.network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(16), recogniser.network)
    for crop, share in (({"size": 112, "align": "arcface"}, True), ({"size": 16, "margin": 0}, False)):
        look(found, tree / "stored", recogniser, crop, missed, 2, torch.device("cpu"), tree / "outputs.npy")
        outputs = np.load(tree / "outputs.npy")
        rows = classify(found, outputs, recogniser.head, 10, np.zeros(2, np.int64), missed, 2)
        assert (rows["outside"][0] > 0) == share
        assert list(rows["outside"].isna()) == list(rows["rank"].isna()) == [False, missed == "protected"]
        assert missed == "protected" or rows["outside"][1] == 0
