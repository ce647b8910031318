"""What lies among people's photographs and is none: phones, file managers, messengers and downloads leave it there.

Each kind is told with the way out. Standard library only.
"""

from __future__ import annotations

from pathlib import Path

HEAD = 32  # bytes that tell a kind

# what systems keep for themselves: nobody's photo, nobody's name
LITTER_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
LITTER_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info", "pspbrwse.jbf"}
)
PLACEHOLDER = ".icloud"  # .IMG_1.HEIC.icloud stands for a photo that is in the cloud alone

CONVERT = "convert it to JPEG"
AGAIN = "copy or download it again"
RAW = frozenset(
    f".{suffix}"
    for suffix in (
        *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef", "nrw"),
        *("orf", "pef", "raf", "raw", "rw2", "sr2", "srf", "srw", "x3f"),
    )
)
UNFINISHED = frozenset({".crdownload", ".download", ".opdownload", ".part", ".partial", ".tmp"})
SIDECARS = {
    ".aae": "edits that a phone has noted beside a photo",
    ".json": "notes beside a photo, as Google Takeout makes them",
    ".thm": "a video's thumbnail",
    ".xmp": "edits that an editor has noted beside a photo",
}
# the brands of ISO media files (the type box at their start) that are pictures; the others are videos
BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), f"HEIC: {CONVERT}"),
    **dict.fromkeys((b"avif", b"avis"), f"AVIF: {CONVERT}"),
    b"crx ": f"camera raw: {CONVERT}",
}
VIDEO = "a video: save a frame of it as JPEG"
STARTS = {
    b"%PDF": "a PDF document: save its pictures as JPEG",
    b"8BPS": f"a Photoshop document: {CONVERT}",
    b"\xff\x0a": f"JPEG XL: {CONVERT}",
    b"\0\0\0\x0cJXL ": f"JPEG XL: {CONVERT}",
    b"FUJIFILMCCD-RAW": f"camera raw: {CONVERT}",
    b"<?xml": "XML, no picture",
    b"<svg": f"SVG: {CONVERT}",
    b"<!DOCTYPE": f"a web page, as a failed download leaves it: {AGAIN}",
    b"<!doctype": f"a web page, as a failed download leaves it: {AGAIN}",
    b"<html": f"a web page, as a failed download leaves it: {AGAIN}",
    b"<HTML": f"a web page, as a failed download leaves it: {AGAIN}",
    b"version https://git-lfs": "a Git LFS pointer: git lfs pull",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\0\x05\x16\x07": "what macOS keeps beside a photo, not the photo",
    b"\x1aE\xdf\xa3": VIDEO,
    b"\0\0\x01\xba": VIDEO,
    b"\0\0\x01\xb3": VIDEO,
}
BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip")  # that a QuickTime file may start with instead of a type


def is_litter(name: str) -> bool:
    """Whether a folder's or file's name is one that systems and not people give, hidden ones among them."""
    if name.startswith("."):
        return not name.endswith(PLACEHOLDER)
    return name.lower() in LITTER_FOLDERS or name.lower() in LITTER_FILES


def reason_against(path: Path) -> str:
    """Why a file cannot be a photo, by its name and its first bytes; empty where it may be one."""
    suffix = path.suffix.lower()
    if suffix == PLACEHOLDER:
        return "is in iCloud alone: download it"
    if suffix in UNFINISHED:
        return f"a download that did not end: {AGAIN}"
    if suffix in SIDECARS:
        return SIDECARS[suffix]
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head.strip(b"\0"):  # as copies and downloads begin that set the room aside first
        return f"{'zeros where a picture should be' if head else 'empty'}: {AGAIN}"
    return by_content(head) or (f"camera raw: {CONVERT}" if suffix in RAW else "")


def by_content(head: bytes) -> str:
    """The kind of a file that starts with `head` and is no photo, with the way out; empty for all else."""
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], VIDEO)
    if head[4:8] in BOXES or (head.startswith(b"RIFF") and head[8:11] == b"AVI"):
        return VIDEO
    return next((reason for start, reason in STARTS.items() if head.startswith(start)), "")
