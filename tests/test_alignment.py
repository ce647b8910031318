"""Aligned crops against OpenCV, least squares and Umeyama; mistakes that people have made are noticed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos import alignment
from cloakbench.photos.alignment import TEMPLATES, positions, share_outside, similarity, template, warped
from cloakbench.photos.crops import cut, outside, shape
from cloakbench.photos.detectors import Detection
from cloakbench.photos.images import to_bytes
from conftest import ROOT

ARCFACE = np.array(TEMPLATES["arcface"].points)
CROP = {"size": 112, "align": "arcface", "margin": 0}


def waves() -> np.ndarray:
    y, x, channel = np.ogrid[:180, :150, :3]
    return np.rint(127 + 60 * np.sin(x / 9 + channel) + 60 * np.cos(y / 7 + 2 * channel)).astype(np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (180, 150, 3), dtype=np.uint8)


def turned(degrees: float, scale: float, middle: complex) -> tuple[tuple[float, float], ...]:
    """Five points: the template's, turned, scaled and moved, and each a little off, as a detector's are."""
    points = (ARCFACE - 56) @ (1, 1j) * scale * np.exp(1j * np.deg2rad(degrees)) + middle
    points += np.array((1.5 - 2j, -1 + 0.5j, 2 + 1j, -1.5j, -2.5 + 1j))
    return tuple((float(point.real), float(point.imag)) for point in points)


def found(points) -> Detection:
    return Detection(20.0, 20.0, 120.0, 160.0, 1.0, points)


INSIDE, BEYOND = turned(-32, 0.9, 80 + 90j), turned(47, 1.4, 60 + 120j)
# made once by OpenCV 5.0.0: warpAffine(photo, M, INTER_LINEAR, border 0) with M by numpy.linalg.lstsq. Where its single
# precision rounds to other levels (1 level in 0.05 % of the values of noise at most) no hash is given.
OPENCV = {
    ("arcface", INSIDE): "985e66611207081891b2e554897bcf6a265fd3b79e9e591e884768092f923b6d",
    ("arcface96", INSIDE): "343ab2074030a031b03fa579fc9bc7a12e3878f76575ca1ce901c122b447dea0",
    ("arcface", BEYOND): "bccfcfdfca5fde2762c96bf8da01e83193565368051c8aa000db57304bec4e3f",
    ("arcface96", BEYOND): "426d90a3f3cce4c87bf8e9b7f40f89e898f52dc502e8df165dc46b95954a962d",
}
OPENCV_NOISE = {  # every 1237th value from the 997th on
    ("arcface", INSIDE): [190, 177, 35, 148, 111, 142, 104, 70, 202, 130, 172, 199, 132, 212, 135],
    ("arcface96", INSIDE): [75, 178, 103, 108, 209, 129, 70, 160, 169, 200, 163, 233, 111, 47, 120],
    ("arcface", BEYOND): [0, 80, 135, 184, 76, 105, 190, 145, 248, 189, 126, 94, 145, 159, 119],
    ("arcface96", BEYOND): [103, 197, 116, 56, 152, 93, 102, 81, 209, 184, 120, 92, 79, 63, 141],
}


def fingerprint(name: str, points) -> tuple[str, list[int]]:
    crop = {"size": 112, "align": name}
    faces = [cut(Image.fromarray(photo), found(points), crop) for photo in (waves(), noise())]
    return hashlib.sha256(faces[0].tobytes()).hexdigest(), faces[1].ravel()[997::1237][:15].tolist()


@pytest.mark.parametrize(("name", "points"), OPENCV)
def test_a_crop_is_opencvs_to_the_byte(name, points):
    assert fingerprint(name, points) == (OPENCV[name, points], OPENCV_NOISE[name, points])


def swapped_eyes(monkeypatch):
    return (INSIDE[1], INSIDE[0], *INSIDE[2:])


def stretched_template(monkeypatch):
    points = tuple((x * 112 / 96, y) for x, y in TEMPLATES["arcface96"].points)
    monkeypatch.setitem(TEMPLATES, "arcface", TEMPLATES["arcface"]._replace(points=points))
    return INSIDE


def corners_not_aligned(monkeypatch):
    sample = torch.nn.functional.grid_sample
    monkeypatch.setattr(
        alignment.functional, "grid_sample", lambda *args, align_corners: sample(*args, align_corners=False)
    )
    return INSIDE


def transposed_matrix(monkeypatch):
    fit = similarity
    monkeypatch.setattr(alignment, "similarity", lambda *pairs: (fit(*pairs)[0].conjugate(), fit(*pairs)[1]))
    return INSIDE


@pytest.mark.parametrize("mistake", [swapped_eyes, stretched_template, corners_not_aligned, transposed_matrix])
def test_a_planted_mistake_is_noticed(mistake, monkeypatch):
    digest, values = fingerprint("arcface", mistake(monkeypatch))
    assert digest != OPENCV["arcface", INSIDE] and values != OPENCV_NOISE["arcface", INSIDE]


def umeyama(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(2, 3), by the singular value decomposition of the paper, without reflection."""
    p, d = points - points.mean(0), places - places.mean(0)
    u, singular, v = np.linalg.svd(d.T @ p)
    sign = np.array((1, np.sign(np.linalg.det(u @ v))))
    turn = (u * sign) @ v * (singular @ sign) / (p**2).sum()
    return np.column_stack((turn, places.mean(0) - turn @ points.mean(0)))


def least_squares(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    rows = [row for x, y in points for row in ((x, -y, 1, 0), (y, x, 0, 1))]
    p, q, right, down = np.linalg.lstsq(np.array(rows), places.ravel(), rcond=None)[0]
    return np.array(((p, -q, right), (q, p, down)))


def test_the_fit_is_that_of_least_squares_and_of_umeyama(rng):
    for _ in range(50):
        points = rng.uniform(-50, 300, (5, 2))
        a, t = similarity(points, ARCFACE)
        matrix = np.array(((a.real, -a.imag, t.real), (a.imag, a.real, t.imag)))
        np.testing.assert_allclose(matrix, least_squares(points, ARCFACE), atol=1e-9)
        if np.linalg.det((ARCFACE - ARCFACE.mean(0)).T @ points) > 0:  # for others he would reflect; a face never is
            np.testing.assert_allclose(matrix, umeyama(points, ARCFACE), atol=1e-9)


def test_points_on_the_template_leave_the_picture_as_it_is():
    face = cut(Image.fromarray(noise()), found(tuple(map(tuple, ARCFACE))), CROP)
    np.testing.assert_array_equal(face, noise()[:112, :112])


def test_templates_of_other_sizes():
    """insightface: k * 112 multiplies, k * 128 multiplies too and moves by 8; the older template is 8 to the left."""
    np.testing.assert_allclose(template("arcface", 224).points, 2 * ARCFACE)
    np.testing.assert_allclose(template("arcface", 256).points, 2 * (ARCFACE + np.array((8, 0))))
    older = [(30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041)]
    np.testing.assert_allclose(template("arcface96", 112).points, older)
    np.testing.assert_allclose(template("arcface96", 224).points, 2 * np.array(older))
    sizes = {("arcface", 112): (112, 112), ("arcface", 160): (160, 160), ("arcface96", 112): (112, 96)}
    sizes |= {("dlib", 150): (150, 150), ("dlib", 256): (256, 256)}
    for (name, size), expected in sizes.items():
        assert shape({"align": name, "size": size}) == expected
    with pytest.raises(InputError, match="arcface96 is 96 x 112; 100 pixels of height leave no whole width"):
        template("arcface96", 100)
    with pytest.raises(InputError, match="no template 'arcfcae'; known: arcface, arcface96"):
        template("arcfcae", 112)


def test_dlibs_chip():
    """The square of its mean face is 100 of 150 pixels, and no other size has a rule of its own."""
    chip = np.array(template("dlib", 150).points)
    left_eye, right_eye, nose, left_mouth, right_mouth = (chip - 25) / 100
    np.testing.assert_allclose((left_eye, right_eye), ((0.2265, 0.2157), (0.7537, 0.2157)))
    np.testing.assert_allclose(nose, (0.4901, 0.5156))
    np.testing.assert_allclose((left_mouth, right_mouth), ((0.2541, 0.7802), (0.7261, 0.7802)))
    for points in ((left_eye, right_eye), (left_mouth, right_mouth)):  # a face that looks straight ahead
        np.testing.assert_allclose(np.mean(points, 0)[0], nose[0], atol=1e-4)
    for size in (75, 128, 256, 300):
        np.testing.assert_allclose(template("dlib", size).points, chip * size / 150)
    moved = found(tuple(map(tuple, chip - 10)))
    face = cut(Image.fromarray(noise()), moved, {"size": 150, "align": "dlib"})
    np.testing.assert_array_equal(face[10:, 10:], noise()[:140, :140])
    assert not face[:10].any() and not face[:, :10].any()


def test_the_schema_knows_the_templates():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    crop = schema["properties"]["crops"]["additionalProperties"]["properties"]
    assert crop["align"]["enum"] == list(TEMPLATES)


def test_of_a_large_photo_only_the_face_is_looked_at():
    """The same levels as from the whole photo, also where the face reaches over its edge."""
    for points in (INSIDE, BEYOND):
        places = positions(points, TEMPLATES["arcface"])
        large = np.zeros((900, 1200, 3), np.uint8)
        large[300:480, 500:650] = noise()
        moved = places + np.array((500, 300))
        np.testing.assert_array_equal(to_bytes(warped(large, moved)), to_bytes(warped(noise(), places)))


def test_the_share_that_lies_outside():
    photo = Image.fromarray(noise())
    moved = found(tuple((x - 28, y) for x, y in ARCFACE))  # a quarter of the template lies to the left of the photo
    assert outside(photo.size, moved, CROP) == 25.0
    assert not cut(photo, moved, CROP)[:, :28].any() and cut(photo, moved, CROP)[:, 28:].any(-1).all()
    assert outside(photo.size, found(INSIDE), CROP) == 0.0
    assert outside(photo.size, moved, {"size": 112, "margin": 0.3}) == 0.0
    assert share_outside(np.array([[[-0.5, 0], [-0.6, 0], [149.5, 179.5], [149.6, 0]]]), photo.size) == 50.0


@pytest.mark.parametrize(("name", "size"), [("arcface", (112, 112)), ("arcface96", (96, 112))])
def test_without_a_face_the_whole_picture_is_shown(name, size):
    photo = Image.fromarray(waves())
    shown = cut(photo, None, {"size": 112, "align": name})
    np.testing.assert_array_equal(shown, np.asarray(photo.resize(size, Image.Resampling.BILINEAR)))
    assert outside(photo.size, None, {"size": 112, "align": name}) == 0.0


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (None, "arcface needs the five points of the face, and the detector gave none"),
        (((70.0, 80.0),) * 5, "lie in one place"),
        (((np.nan, 1.0), *INSIDE[1:]), "lie in one place or are no face's"),
    ],
)
def test_what_cannot_be_aligned_is_refused(points, message):
    with pytest.raises(InputError, match=message):
        cut(Image.fromarray(waves()), found(points), CROP)
