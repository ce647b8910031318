"""What phones, file managers and downloads leave among photographs: read, or passed over with a reason that helps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos.datasets import LOADERS, folder, lfw
from cloakbench.photos.faces import Faces
from cloakbench.photos.images import read_photo
from cloakbench.photos.not_photos import is_litter, reason_against
from cloakbench.synthetic.render import render


def encoded(picture: Image.Image, form: str, **options) -> bytes:
    picture.save(file := io.BytesIO(), form, **options)
    return file.getvalue()


FACE = render(0, 0)
JPEG = encoded(FACE, "JPEG")
FTYP = b"\0\0\0\x18ftyp"
STRAYS = {
    "IMG_1.HEIC": (FTYP + b"heic\0\0\0\0mif1heic", "HEIC: convert it to JPEG"),
    "shared as.jpg": (FTYP + b"mif1\0\0\0\0", "HEIC: convert it to JPEG"),
    "a.avif": (FTYP + b"avif\0\0\0\0", "AVIF: convert it to JPEG"),
    "IMG_1.MOV": (FTYP + b"qt  \0\0\0\0", "a video: save a frame"),
    "old.mov": (b"\0\0\0\x08wide\0\0", "a video"),
    "clip.mp4": (FTYP + b"isom\0\0\2\0", "a video"),
    "clip.avi": (b"RIFF\0\0\0\0AVI LIST", "a video"),
    "clip.webm": (b"\x1aE\xdf\xa3\1\0", "a video"),
    "DSC_1.NEF": (b"MM\0*\0\0\0\x08", "camera raw: convert it to JPEG"),
    "IMG_1.CR3": (FTYP + b"crx \0\0\0\1", "camera raw"),
    "IMG_1.dng": (encoded(FACE, "TIFF"), "camera raw"),  # what Pillow reads of it is a thumbnail
    "a.jxl": (b"\xff\x0a\xfa\x1f", "JPEG XL"),
    "scan.jpg": (b"%PDF-1.7\n", "a PDF document"),
    "layers.psd": (b"8BPS\0\1", "a Photoshop document"),
    "login.jpg": (b"<!DOCTYPE html><html>", "a web page, as a failed download leaves it"),
    "drawing.svg": (b"<svg xmlns=", "SVG"),
    "IMG_1.jpg.json": (b'{"title": 1}', "notes beside a photo, as Google Takeout"),
    "IMG_1.AAE": (b"<?xml", "edits that a phone has noted"),
    "IMG_1.xmp": (b"<x:xmpmeta", "edits that an editor"),
    ".IMG_1.HEIC.icloud": (b"bplist00", "is in iCloud alone: download it"),
    "empty.jpg": (b"", "empty: copy or download it again"),
    "hole.jpg": (b"\0" * 4000, "zeros where a picture should be: copy or download it again"),
    "IMG_1.jpg.crdownload": (JPEG, "a download that did not end"),
    "half.jpg": (JPEG[: len(JPEG) // 2], "damaged image"),
    "apple.jpg": (b"\0\x05\x16\x07\0\2", "what macOS keeps beside a photo"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "photos.jpg": (b"PK\x03\x04\x14\0", "a zip archive: unpack it"),
    "notes.txt": (b"to do", "not an image of a known form"),
}


def never():
    raise AssertionError("a detector is made")


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_file_is_passed_over_with_what_would_do(tmp_path, name):
    content, reason = STRAYS[name]
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_bytes(content)
    (path,) = folder(tmp_path).photos("p")
    passed_over = Faces(never).find(path).passed_over
    assert passed_over.startswith(reason) and str(tmp_path) not in passed_over and "\n" not in passed_over


def test_a_file_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.jpg").write_bytes(JPEG)
    monkeypatch.setattr(Path, "open", refuse)
    assert reason_against(tmp_path / "a.jpg") == "cannot be read (Permission denied)"


LITTER = ["Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", "._1.jpg", "Icon\r", "Picasa.ini"]
NOBODY = ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".thumbnails"]


def test_what_systems_leave_is_no_file_and_nobody(tmp_path):
    """So that a look at a folder with a file manager changes no draw."""
    (tmp_path / "Ana").mkdir()
    (tmp_path / "Ana/1.jpg").write_bytes(JPEG)
    for name in LITTER:
        (tmp_path / "Ana" / name).touch()
    for name in NOBODY:
        for home in (tmp_path, tmp_path / "Ana"):
            (home / name).mkdir()
            (home / name / "1.jpg").write_bytes(JPEG)
    assert all(map(is_litter, [*LITTER, *NOBODY]))
    for load in (folder, lfw):
        assert load(tmp_path).identities == ("Ana",)
        assert [path.name for path in load(tmp_path).photos("Ana")] == ["1.jpg"]


@pytest.mark.parametrize("name", ["Thumbs", "Icon", "Desktop", "Ana @eaDir", "CON", "con", "nul.jpg", "#1", "@SUM(A1)"])
def test_what_people_call_themselves_is_no_litter(name):
    assert not is_litter(name)


def frames() -> list[Image.Image]:
    return [FACE, render(1, 0), render(2, 0)]


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 8
    return encoded(FACE.transpose(Image.Transpose.ROTATE_270), "JPEG", exif=exif, quality=95)


READ = {
    "phone.jpg": encoded(FACE, "MPO", save_all=True, append_images=frames()[1:]),
    "moves.gif": encoded(FACE, "GIF", save_all=True, append_images=frames()[1:]),
    "moves.webp": encoded(FACE, "WEBP", save_all=True, append_images=frames()[1:], quality=95),
    "print.jpg": encoded(FACE.convert("CMYK"), "JPEG", quality=95),
    "turned.jpg": turned(),
    "wrong name.png": encoded(FACE, "JPEG", quality=95),
    "NO SUFFIX": encoded(FACE, "JPEG", quality=95),
    "progressive.jpg": encoded(FACE, "JPEG", progressive=True, quality=95),
    "several.tif": encoded(FACE, "TIFF", save_all=True, append_images=frames()[1:]),
}


@pytest.mark.parametrize("name", READ)
def test_what_phones_and_messengers_make_of_photos_is_read(tmp_path, name):
    """The first picture of several, upright, in its colours."""
    (tmp_path / name).write_bytes(READ[name])
    assert reason_against(tmp_path / name) == ""
    read = read_photo(tmp_path / name)
    assert read.mode == "RGB" and read.size == FACE.size
    difference = np.abs(np.asarray(read).astype(int) - np.asarray(FACE))
    assert difference.mean() < 8


def deep_png(levels: np.ndarray) -> bytes:
    """A PNG of (h, w, 3) uint16 levels: Pillow writes none."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_png_of_sixteen_bits_a_colour(tmp_path):
    levels = np.asarray(FACE).astype(np.uint16) * 257
    (tmp_path / "deep.png").write_bytes(deep_png(levels))
    np.testing.assert_array_equal(np.asarray(read_photo(tmp_path / "deep.png")), np.asarray(FACE))


def test_a_panorama_of_too_many_pixels_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("cloakbench.photos.images.MAX_PIXELS", 50_000)
    (tmp_path / "PANO_1.jpg").write_bytes(JPEG)
    assert Faces(never).find(tmp_path / "PANO_1.jpg").passed_over == "more than 50,000 pixels; make it smaller"


def test_a_folder_of_strays_alone_names_no_crash(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(STRAYS["IMG_1.HEIC"][0])
    for load in LOADERS.values():
        with pytest.raises(InputError, match=r"no identity folders|is not a folder"):
            load(tmp_path)
