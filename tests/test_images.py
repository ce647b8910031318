"""Photographs of every kind that people have, crops against a slow reference, stored files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos import images
from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import Detection
from cloakbench.photos.images import read_photo, to_bytes
from cloakbench.publishing.store import SUBSAMPLING, encode


def found(*box: float) -> Detection:
    return Detection(*box, confidence=1.0)


@pytest.fixture
def photo(rng) -> Image.Image:
    smooth = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    return smooth.resize((90, 60), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "1", "YCbCr", "HSV", "LAB"])
def test_any_mode_becomes_rgb(photo, tmp_path, mode):
    suffix = {"CMYK": "tif", "YCbCr": "tif", "HSV": None, "LAB": "tif"}.get(mode, "png")
    if suffix is None:
        pytest.skip("no file format stores HSV")
    photo.convert(mode).save(tmp_path / f"photo.{suffix}") if mode != "LAB" else _lab(photo, tmp_path / "photo.tif")
    read = read_photo(tmp_path / f"photo.{suffix}")
    assert read.mode == "RGB" and read.size == (90, 60)


def _lab(photo, path):
    from PIL import ImageCms

    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    ImageCms.profileToProfile(photo, *profiles, outputMode="LAB").save(path)


def test_transparency_lies_over_white(photo, tmp_path):
    photo.putalpha(Image.new("L", photo.size, 0))
    photo.save(tmp_path / "clear.png")
    assert np.asarray(read_photo(tmp_path / "clear.png")).min() == 255


def test_sixteen_bit_grey_keeps_its_tones(tmp_path):
    ramp = np.linspace(0, 65535, 90 * 60).reshape(60, 90).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    read = np.asarray(read_photo(tmp_path / "deep.png"))[..., 0]
    np.testing.assert_array_equal(read, to_bytes(ramp / 257))


def test_exif_orientation_is_undone(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to view
    photo.save(tmp_path / "turned.png", exif=exif)
    read = read_photo(tmp_path / "turned.png")
    assert read.size == (60, 90)
    np.testing.assert_array_equal(np.asarray(read), np.rot90(np.asarray(photo), 3))


def test_names_with_spaces_and_other_alphabets(photo, tmp_path):
    path = tmp_path / "Zoë 写真 .png"
    photo.save(path)
    assert read_photo(path).size == photo.size


@pytest.mark.parametrize("content", ["empty", "text", "truncated", "bomb", "missing"])
def test_bad_photos_are_refused_in_one_line(photo, tmp_path, content, monkeypatch):
    path = tmp_path / "bad.jpg"
    whole = io.BytesIO()
    photo.save(whole, "JPEG")
    if content == "bomb":
        monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    if content != "missing":
        data = {"empty": b"", "text": b"not a photo", "truncated": whole.getvalue()[:-200], "bomb": whole.getvalue()}
        path.write_bytes(data[content])
    with pytest.raises(InputError) as refused:
        read_photo(path)
    assert "bad.jpg" in str(refused.value) and "\n" not in str(refused.value)


def test_bytes_are_rounded_not_truncated():
    np.testing.assert_array_equal(to_bytes(np.array([-3, 0.4, 0.6, 7.999999, 254.5, 300])), [0, 0, 1, 8, 254, 255])


def test_whole_box_crop_is_the_photo(photo):
    square = photo.resize((64, 64))
    np.testing.assert_array_equal(cut(square, found(0, 0, 64, 64), {"size": 64, "margin": 0}), np.asarray(square))


def test_crop_equals_the_slow_reference(photo):
    """Cut, then resize whole pixels: the same as resizing through a box with whole edges."""
    reference = photo.crop((10, 5, 50, 55)).resize((32, 32), Image.Resampling.BILINEAR)
    difference = cut(photo, found(10, 5, 50, 55), {"size": 32, "margin": 0}).astype(int) - np.asarray(reference)
    assert np.abs(difference[2:-2, 2:-2]).max() <= 1  # the border may see a neighbour that the cut has not


def test_margin_short_side_and_centre(photo):
    """VGGFace2's way: enlarge by 0.3, short side 256, centre 224."""
    box = (30, 20, 50, 40)  # 20 x 20, enlarged 26 x 26: edges 27, 17, 53, 43; centre 40, 30
    face = cut(photo, found(*box), {"size": 224, "margin": 0.3, "short_side": 256})
    half = 26 * 224 / 256 / 2
    reference = photo.resize((224, 224), Image.Resampling.BILINEAR, box=(40 - half, 30 - half, 40 + half, 30 + half))
    np.testing.assert_array_equal(face, np.asarray(reference))


@pytest.mark.parametrize("box", [(-20, -20, 30, 30), (80, 50, 200, 200), (5, 5, 85, 20)])
def test_boxes_over_the_edge_are_clamped(photo, box):
    for crop in ({"size": 32, "margin": 0}, {"size": 32, "margin": 0.3, "short_side": 40}):
        assert cut(photo, found(*box), crop).shape == (32, 32, 3)


def test_a_square_that_fills_its_box_stays_in_the_photo(photo, rng):
    """short_side as large as size: rounding must not push an edge out of the photo."""
    for _ in range(300):
        left, top = rng.uniform(-5, 40, 2)
        right, bottom = left + rng.uniform(10, 60), top + rng.uniform(10, 60)
        crop = {"size": 33, "margin": 0.3, "short_side": 33}
        assert cut(photo, found(left, top, right, bottom), crop).shape == (33, 33, 3)


def test_a_box_outside_is_refused(photo):
    with pytest.raises(InputError, match="outside"):
        cut(photo, found(200, 200, 250, 250), {"size": 32, "margin": 0})


@pytest.mark.parametrize("subsampling", SUBSAMPLING)
def test_jpeg_has_the_quality_and_subsampling_asked_for(photo, subsampling):
    from PIL import JpegImagePlugin

    face = np.asarray(photo)
    storage = {"format": "jpeg", "quality": 75, "subsampling": subsampling}
    stored = Image.open(io.BytesIO(encode(face, storage)))
    assert JpegImagePlugin.get_sampling(stored) == SUBSAMPLING[subsampling]
    reference = io.BytesIO()
    Image.fromarray(face).save(reference, "JPEG", quality=75, subsampling=subsampling)
    assert stored.quantization == Image.open(reference).quantization
    assert len(encode(face, storage | {"quality": 30})) < len(encode(face, storage))


def test_webp_has_the_quality_asked_for(photo):
    face, reference = np.asarray(photo), io.BytesIO()
    stored = encode(face, {"format": "webp", "quality": 75})
    Image.fromarray(face).save(reference, "WEBP", quality=75)
    assert stored == reference.getvalue()
    assert stored[:4] + stored[8:16] == b"RIFFWEBPVP8 "  # lossy
    assert len(encode(face, {"format": "webp", "quality": 30})) < len(stored)


def test_png_loses_nothing_and_resize_resizes(photo):
    face = np.asarray(photo.resize((64, 64)))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode(face, {"format": "png"})))), face)
    assert Image.open(io.BytesIO(encode(face, {"format": "png", "resize": 32}))).size == (32, 32)
    upright = np.zeros((112, 96, 3), np.uint8)
    assert Image.open(io.BytesIO(encode(upright, {"format": "png", "resize": 56}))).size == (48, 56)
