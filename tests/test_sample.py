"""The draw: seeded, independent of what is around it, and honest about what it passes over."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos.datasets import folder
from cloakbench.photos.detectors import Detection
from cloakbench.photos.draw import draw
from cloakbench.photos.faces import Faces
from cloakbench.photos.sample import attacked, cut_faces, read_photos, write_photos
from cloakbench.photos.wanted import Wanted
from cloakbench.synthetic.render import render


class FakeDetector:
    """Finds a face in every picture that is not black."""

    def find(self, pictures):
        return [Detection(5.0, 5.0, 25.0, 25.0, 0.99) if np.asarray(picture).max() else None for picture in pictures]


@pytest.fixture
def tree(tmp_path, rng):
    for identity in ["NA", "007", "Zoë B", "=cmd()", "e", "f"]:
        (tmp_path / identity).mkdir()
        for photo in range(5):
            pixels = rng.integers(1, 256, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / identity / f"{photo}.png")
    return tmp_path


def drawn(tree, subjects, photos, enrol, enrol_min=None, seed=0, detector=None):
    wanted = Wanted(subjects, photos, enrol, enrol_min or enrol, seed)
    return draw(folder(tree), wanted, 1, Faces(lambda: detector or FakeDetector()))


def test_attacked_photos_are_never_enrolled(tree):
    subjects, enrolment = drawn(tree, 4, 2, 3)
    chosen = attacked(subjects)
    assert list(chosen["subject"]) == [0, 0, 1, 1, 2, 2, 3, 3] and list(chosen["photo"]) == [0, 1] * 4
    assert not set(chosen["file"]) & set(enrolment["file"])
    assert enrolment.groupby("identity").size().to_dict() == dict.fromkeys(sorted(p.name for p in tree.iterdir()), 3)


def test_the_seed_decides(tree):
    first, again, other = drawn(tree, 3, 1, 2), drawn(tree, 3, 1, 2), drawn(tree, 3, 1, 2, seed=1)
    for frame, same in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(frame, same)
    assert not first[0].equals(other[0])


def test_what_is_passed_over_is_listed_with_the_reason(tree):
    (tree / "e" / "0.png").write_bytes(b"no picture")
    Image.new("RGB", (30, 30)).save(tree / "e" / "1.png")
    Image.new("RGB", (8, 8), "white").save(tree / "e" / "2.png")
    (tree / "e" / "4.png").write_bytes((tree / "e" / "3.png").read_bytes())
    subjects, _ = drawn(tree, 5, 2, 3)
    reasons = subjects[subjects["subject"].isna()].set_index("file")["passed_over"]
    assert "not an image" in reasons["e/0.png"]
    assert reasons["e/1.png"] == "no face found"
    assert "too small" in reasons["e/2.png"]
    assert reasons.filter(regex="e/[34]").iloc[0].startswith("same picture as")
    assert "1 usable photos, 5 needed" in reasons[""]
    assert set(attacked(subjects)["identity"]) == {"NA", "007", "Zoë B", "=cmd()", "f"}


def test_names_survive_the_file(tree, tmp_path):
    subjects, enrolment = drawn(tree, 6, 1, 4)
    for name, frame in {"subjects": subjects, "enrolment": enrolment}.items():
        write_photos(tmp_path / f"{name}.csv", frame)
        read = read_photos(tmp_path / f"{name}.csv")
        assert list(read["identity"]) == list(frame["identity"])
        np.testing.assert_array_equal(read[["left", "bottom"]], frame[["left", "bottom"]].astype(float))
    assert len(attacked(read_photos(tmp_path / "subjects.csv"))) == 6


def test_too_few_subjects_or_identities(tree):
    with pytest.raises(InputError, match="6 subjects with 5 usable photos each, 7 asked for"):
        drawn(tree, 7, 1, 4)
    with pytest.raises(InputError, match="6 identities are enrolled, too few for top-50"):
        draw(folder(tree), Wanted(1, 1, 4, 4), 50, Faces(FakeDetector))


class Counting(FakeDetector):
    def __init__(self):
        self.calls = 0

    def find(self, pictures):
        self.calls += 1
        return super().find(pictures)


def test_without_a_gallery_only_subjects_are_opened(tree):
    detector = Counting()
    draw(folder(tree), Wanted(2, 1, 0, 0), 50, Faces(lambda: detector))
    assert detector.calls == 2


def keep(tree, **photos):
    """Leave so many photos of an identity."""
    for identity, count in photos.items():
        for photo in sorted((tree / identity).iterdir())[count:]:
            photo.unlink()


def test_sparse_identities_stand_in_the_gallery_and_change_no_subject(tree):
    keep(tree, e=1, f=2)
    (dense_subjects, dense), (subjects, gallery) = drawn(tree, 3, 1, 3), drawn(tree, 3, 1, 3, enrol_min=1)
    pd.testing.assert_frame_equal(attacked(dense_subjects), attacked(subjects))
    assert dense.groupby("identity").size().to_dict() == dict.fromkeys(["007", "=cmd()", "NA", "Zoë B"], 3)
    assert gallery.groupby("identity").size().to_dict() == dense.groupby("identity").size().to_dict() | {"e": 1, "f": 2}
    assert set(drawn(tree, 3, 1, 3, enrol_min=2)[1]["identity"]) == {*dense["identity"], "f"}


def test_identities_with_too_few_photos_are_not_opened(tree):
    keep(tree, e=1, f=2)
    subjects, _ = drawn(tree, 3, 1, 3, detector=(detector := Counting()))
    assert detector.calls == 3 * 4 + 3
    reasons = subjects[subjects["subject"].isna()].set_index("identity")["passed_over"]
    assert reasons.to_dict() == {
        f"{name}": f"identity passed over: {n} photos, 3 needed" for name, n in (("e", 1), ("f", 2))
    }


def test_one_picture_is_never_attacked_and_enrolled(tree):
    """Under another name, under another identity; whoever is drawn first keeps it."""
    for seed in range(4):
        for identity in ("007", "NA", "f"):
            (tree / identity / "copy.png").write_bytes((tree / "e" / "0.png").read_bytes())
        subjects, enrolment = drawn(tree, 4, 2, 3, seed=seed)
        chosen = [*attacked(subjects)["sha256"], *enrolment["sha256"]]
        assert len(chosen) == len(set(chosen)) == 4 * 2 + 6 * 3
        passed_over = subjects["passed_over"].dropna()
        assert passed_over.str.startswith("same picture as ").any()


class FixedDetector:
    """Finds the face where rendered photos of any size have it."""

    def find(self, pictures):
        return [Detection(0.27 * p.width, 0.18 * p.height, 0.72 * p.width, 0.83 * p.height, 0.99) for p in pictures]


def test_a_copy_with_other_bytes_is_never_attacked_and_enrolled(tmp_path):
    """One picture as taken, with a byte behind its end, as a messenger sends it, as PNG; p3 has it of p0."""
    for person in range(4):
        (home := tmp_path / f"p{person}").mkdir()
        render(0 if person == 3 else person, 0).save(file := io.BytesIO(), "JPEG", quality=92)
        (home / "IMG_1.jpg").write_bytes(file.getvalue())
        (home / "IMG_1 (1).jpg").write_bytes(file.getvalue() + b"\n")
        Image.open(file).save(home / "IMG_1-WA0001.jpg", quality=80)
        Image.open(file).save(home / "IMG_1.png")
        for photo in (1, 2):
            render(person, photo).save(home / f"IMG_{photo + 1}.jpg", quality=92)
    subjects, enrolment = drawn(tmp_path, 3, 1, 2, detector=FixedDetector())
    chosen = [*attacked(subjects)["file"], *enrolment["file"]]
    pictures = [file.split(".")[0].replace(" (1)", "").replace("-WA0001", "") for file in chosen]
    assert len(pictures) == len(set(pictures)) and len({"p0/IMG_1", "p3/IMG_1"} & set(pictures)) == 1
    assert set(attacked(subjects)["identity"]) | {"p0", "p3"} == {"p0", "p1", "p2", "p3"}
    reasons = subjects["passed_over"][subjects["passed_over"].str.startswith("nearly the same picture as p")]
    assert len(reasons) >= 3 and reasons.str.contains("/IMG_1").all()


def test_a_box_without_pixels_is_passed_over(tree):
    class Beside(FakeDetector):
        def find(self, pictures):
            return [Detection(40.0, 5.0, 60.0, 25.0, 0.9)]

    with pytest.raises(InputError, match="0 subjects"):
        drawn(tree, 2, 1, 3, detector=Beside())


@pytest.mark.parametrize(
    ("make", "message"), [("missing", "not a folder"), ("empty", "no identity"), ("flat", "photos but")]
)
def test_a_folder_of_another_shape_is_refused(tmp_path, make, message):
    root = tmp_path / "photos"
    if make != "missing":
        root.mkdir()
    if make == "flat":
        Image.new("RGB", (9, 9)).save(root / "a.jpg")
    with pytest.raises(InputError, match=message):
        folder(root)


def test_a_photo_that_changed_since_is_refused(tree):
    subjects, _ = drawn(tree, 2, 1, 3)
    chosen = attacked(subjects)
    faces = np.zeros((2, 32, 32, 3), np.uint8)
    cut_faces(chosen, tree, {"size": 32, "margin": 0}, faces)
    assert faces.reshape(2, -1).any(axis=1).all()
    Image.new("RGB", (30, 30), "red").save(tree / chosen["file"][1])
    with pytest.raises(InputError, match="changed since it was sampled"):
        cut_faces(chosen, tree, {"size": 32, "margin": 0}, faces)
