"""Copies are found whatever bytes they come in, other photos of the same people are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cloakbench.copies import Copies, correlation, looks
from cloakbench.detectors import Detection
from cloakbench.errors import InputError
from cloakbench.render import SIDE, render

BOX = (66.0, 44.0, 174.0, 200.0)  # about where a rendered face is
PEOPLE = range(6)


def found(box) -> Detection:
    return Detection(*box, 1.0)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resized(picture: Image.Image, scale: float, quality: int = 85) -> Image.Image:
    small = picture.resize([round(scale * edge) for edge in picture.size], Image.Resampling.BICUBIC)
    return jpeg(small, quality)


def trimmed(picture: Image.Image) -> Image.Image:
    edge = round(0.02 * SIDE)
    return picture.crop((edge, edge, SIDE - edge, SIDE - edge))


ALTERED = {
    "quality 95": lambda picture: jpeg(picture, 95),
    "quality 30": lambda picture: jpeg(picture, 30),
    "half the size": lambda picture: resized(picture, 0.5),
    "half again the size": lambda picture: resized(picture, 1.5),
    "by messenger": lambda picture: resized(picture, 0.4, 70),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.05),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.95),
    "2 % less at each edge": trimmed,
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
}


@pytest.fixture(scope="module")
def photos():
    return [jpeg(render(person, 0), 92) for person in PEOPLE]


@pytest.mark.parametrize("altered", ALTERED)
def test_a_copy_is_found(photos, altered):
    copies = Copies()
    for person, photo in enumerate(photos):
        assert copies.take(f"{person}", f"{person}", photo, found(BOX)) == ""
    for person, photo in enumerate(photos):
        copy = ALTERED[altered](photo)
        # the detector sees other pixels and puts its box a little elsewhere; on a trimmed copy the face is moved too
        moved, scale = (round(0.02 * SIDE) if altered.startswith("2 %") else 0), copy.width / SIDE
        left, top, right, bottom = BOX
        box = (left - moved + 2.0, top - moved - 3.0, right - moved + 1.0, bottom - moved + 3.0)
        if altered == "mirrored":
            box = (SIDE - box[2], box[1], SIDE - box[0], box[3])
        scaled = tuple(edge * (1.0 if moved else scale) for edge in box)
        assert copies.take("copy", "copy", copy, found(scaled)) == f"nearly the same picture as {person}"


def test_other_photos_of_the_same_people_are_none():
    copies = Copies()
    for person in PEOPLE:
        for photo in range(6):
            name = f"{person} {photo}"
            assert copies.take(name, name, render(person, photo), found(BOX)) == ""


def test_two_people_before_one_background_are_two_pictures(photos):
    """As a fixed camera sees them: all but a small part of the photo is the same."""
    scene = render(9, 0).resize((960, 960))
    seen = [scene.copy() for _ in photos]
    for view, photo in zip(seen, photos, strict=True):
        view.paste(photo.crop((60, 20, 180, 220)), (200, 500))
    copies = Copies()
    box = (206.0, 524.0, 314.0, 680.0)
    for person, view in enumerate(seen):
        assert copies.take(f"{person}", f"{person}", view, found(box)) == ""
    assert copies.take("again", "again", jpeg(seen[3], 60), found(box)) == "nearly the same picture as 3"


def test_equal_bytes_are_known_by_their_digest(photos):
    copies = Copies()
    assert copies.take("a", "digest", photos[0], found(BOX)) == ""
    assert copies.take("b", "digest", photos[0], found(BOX)) == "same picture as a"


def test_faces_are_laid_over_each_other(photos):
    """By the definition: the correlation of the pixels, once the shift that was put in is taken out."""
    look, _ = looks(photos[0], found(BOX))
    left, top, right, bottom = BOX
    aside, _ = looks(photos[0], found((left + 6, top - 8, right + 2, bottom - 2)))
    before = np.corrcoef(look.face.ravel(), aside.face.ravel())[0, 1]
    assert before < 0.95 and correlation(look.face, aside.face) > 0.99
    assert correlation(look.face, look.face) == pytest.approx(1)
    assert correlation(look.face, np.full_like(look.face, 7)) == 0


def test_a_box_outside_the_photo(photos):
    with pytest.raises(InputError, match="outside the photo"):
        Copies().take("a", "a", photos[0], found((300.0, 10.0, 340.0, 50.0)))
