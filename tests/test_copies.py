"""Copies are found whatever bytes they come in, other photos of the same people are not."""

from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from cloakbench.__main__ import main
from cloakbench.errors import InputError
from cloakbench.photos.copies import Copies, correlation, differing
from cloakbench.photos.copy_check import ALTERED
from cloakbench.photos.detectors import Detection
from cloakbench.photos.looks import HASH, looks, packed, unpacked
from cloakbench.synthetic.render import SIDE, render

BOX = (66.0, 44.0, 174.0, 200.0)  # about where a rendered face is
PEOPLE = range(6)


def found(box) -> Detection:
    return Detection(*box, 1.0)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


@pytest.fixture(scope="module")
def photos():
    return [jpeg(render(person, 0), 92) for person in PEOPLE]


@pytest.mark.parametrize("altered", ALTERED)
def test_a_copy_is_found(photos, altered):
    copies = Copies()
    for person, photo in enumerate(photos):
        assert copies.take(f"{person}", f"{person}", f"{person}", looks(photo, found(BOX))) == ""
    for person, photo in enumerate(photos):
        copy = ALTERED[altered](photo)
        # the detector sees other pixels and puts its box a little elsewhere; on a trimmed copy the face is moved too
        moved, scale = (round(0.02 * SIDE) if altered.startswith("2%") else 0), copy.width / SIDE
        left, top, right, bottom = BOX
        box = (left - moved + 2.0, top - moved - 3.0, right - moved + 1.0, bottom - moved + 3.0)
        if altered == "mirrored":
            box = (SIDE - box[2], box[1], SIDE - box[0], box[3])
        scaled = tuple(edge * (1.0 if moved else scale) for edge in box)
        reason = copies.take("somebody", "copy", "copy", looks(copy, found(scaled)))
        assert reason == f"nearly the same picture as {person}"


def test_other_photos_of_the_same_people_are_none():
    copies = Copies()
    for person in PEOPLE:
        for photo in range(6):
            name = f"{person} {photo}"
            assert copies.take(f"{person}", name, name, looks(render(person, photo), found(BOX))) == ""


def before_one_background(photos) -> list[Image.Image]:
    """As a fixed camera sees them: all but a small part of the photo is the same."""
    scene = render(9, 0).resize((960, 960))
    seen = [scene.copy() for _ in photos]
    for view, photo in zip(seen, photos, strict=True):
        view.paste(photo.crop((60, 20, 180, 220)), (200, 500))
    return seen


def test_shots_of_one_burst_are_copies():
    """One person, one scene, another moment."""
    copies, box = Copies(), (206.0, 524.0, 314.0, 680.0)
    first, second = before_one_background([render(3, 0), render(3, 2)])
    assert copies.take("p", "a", "a", looks(first, found(box))) == ""
    assert copies.take("p", "b", "b", looks(second, found(box))) == "nearly the same picture as a"


def test_two_people_before_one_background_are_two_pictures(photos):
    seen, copies, box = before_one_background(photos), Copies(), (206.0, 524.0, 314.0, 680.0)
    for person, view in enumerate(seen):
        assert copies.take(f"{person}", f"{person}", f"{person}", looks(view, found(box))) == ""
    again = looks(jpeg(seen[3], 60), found(box))
    assert copies.take("somebody", "again", "again", again) == "nearly the same picture as 3"


def test_equal_bytes_are_known_by_their_digest(photos):
    copies = Copies()
    assert copies.take("p", "a", "digest", looks(photos[0], found(BOX))) == ""
    assert copies.take("p", "b", "digest", looks(photos[0], found(BOX))) == "same picture as a"


def test_faces_are_laid_over_each_other(photos):
    """By the definition: the correlation of the pixels, once the shift that was put in is taken out."""
    look, _ = looks(photos[0], found(BOX))
    left, top, right, bottom = BOX
    aside, _ = looks(photos[0], found((left + 6, top - 8, right + 2, bottom - 2)))
    before = np.corrcoef(look.face.ravel(), aside.face.ravel())[0, 1]
    assert before < 0.95 and correlation(look.face, aside.face) > 0.99
    assert correlation(look.face, look.face) == pytest.approx(1)
    assert correlation(look.face, np.full_like(look.face, 7)) == 0


def test_bits_are_counted_where_hashes_differ(photos):
    """By the definition, on ImageHash's own bits; and the looks survive being written."""
    pairs = [looks(photo, found(BOX)) for photo in photos]
    hashes = [[imagehash.phash(picture.convert("L"), HASH).hash for picture in (p, ImageOps.mirror(p))] for p in photos]
    upright = np.stack([look.hash for look, _ in pairs])
    for (one, mirrored), (own, turned) in zip(pairs, hashes, strict=True):
        assert list(differing(upright, one.hash)) == [int((own != other).sum()) for other, _ in hashes]
        assert list(differing(upright, mirrored.hash)) == [int((turned != other).sum()) for other, _ in hashes]
        assert all(map(np.array_equal, one + mirrored, sum(unpacked(packed((one, mirrored))), ())))


def test_a_box_outside_the_photo(photos):
    with pytest.raises(InputError, match="outside the photo"):
        looks(photos[0], found((300.0, 10.0, 340.0, 50.0)))


def test_the_command_lists_them(tmp_path, photos, monkeypatch, capsys):
    for person in range(2):
        (tmp_path / f"p{person}").mkdir()
        photos[person].save(tmp_path / f"p{person}" / "a.jpg", quality=92)
    photos[0].save(tmp_path / "p1" / "sent.jpg", quality=60)
    (tmp_path / "p1" / "notes.png").write_bytes(b"no picture")

    def printed(*arguments):
        monkeypatch.setattr("sys.argv", ["cloakbench", "copies", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        return capsys.readouterr().out.splitlines()

    broken, copy = printed(tmp_path)
    assert broken.startswith("p1/notes.png: not an image")
    assert copy == "p1/sent.jpg: nearly the same picture as p0/a.jpg"
    heading, *rows = printed(tmp_path, "--altered", 1)
    assert heading.split() == ["altered", "photos", "found", "most_bits", "least_whole", "least_face"]
    assert len(rows) == len(ALTERED) and all(row.split()[-5:-3] == ["1", "1"] for row in rows)
