"""The face of a photo: found once, and known from then on by the photo's content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.jobs import devices
from cloakbench.jobs.versions import Versions
from cloakbench.photos import looks
from cloakbench.photos.detectors import Detection, Detector, face_of
from cloakbench.photos.face_store import FaceStore
from cloakbench.photos.images import read_photo
from cloakbench.photos.looks import Looks, packed, unpacked
from cloakbench.photos.not_photos import reason_against

# whose versions decide what is found, to the last bit: of the detector and of what decodes and resizes its pictures
# and all that these run
DECIDING = ("images.read_photo", "detectors.Detector", "detectors.face_of", "looks.looks")
LIBRARIES = ("facenet-pytorch", "torch", "torchvision", "numpy", "pillow", "scipy", "imagehash")


@dataclass(frozen=True)
class Found:
    """What a photo shows: a face and the photo's looks, or the reason why the photo is of no use.

    digest: sha256 of the file's bytes, empty where it is not read.
    """

    digest: str = ""
    face: Detection | None = None
    looks: Looks | None = None
    passed_over: str = ""


class Faces:
    """Finds the face of a photo in the store, or by a detector that is made when the first photo needs it.

    seen, known: how many photos were looked at now, and how many had been before.
    """

    def __init__(self, detector: Callable[[], Detector], store: FaceStore | None = None):
        self._detector, self._store = cache(detector), store
        self.seen = self.known = 0

    def find(self, path: Path) -> Found:
        """What a file shows. Raises InputError where it cannot be kept."""
        if reason := reason_against(path):
            return Found(passed_over=reason)
        try:
            digest = seals.sha256(path)
        except OSError as error:
            return Found(passed_over=f"cannot be read ({error.strerror})")
        entry = self._store.get(digest) if self._store is not None else None
        if entry is not None:
            self.known += 1
            return _from_entry(digest, entry)
        return self._look(path, digest)

    def _look(self, path: Path, digest: str) -> Found:
        try:
            picture = read_photo(path)
        except InputError as error:  # so fast that nothing is kept of it
            return Found(passed_over=str(error).removeprefix(f"{path}: "))
        self.seen += 1
        face, reason = face_of(picture, self._detector())
        found = Found(digest, face, looks.looks(picture, face) if face else None, reason)
        if self._store is not None:
            self._store.put(digest, _to_entry(found))
        return found

    def told(self) -> str:
        """A line for the log."""
        return f"faces: {self.seen} photos looked at, {self.known} known from before"


def known_faces(folder: Path, device: torch.device) -> Faces:
    """Faces with a store below `folder`, a part of its own for everything that the numbers depend on."""
    versions = {name: version(name) for name in LIBRARIES} | {"torch": torch.__version__}  # with its build
    # what a file of faces was made with is no other for their being known already
    seals.note(**{name: versions[name] for name in ("facenet-pytorch", "torchvision", "pillow")})
    code = Versions(Path(__file__).parents[2])
    about = {
        "form": 1,  # of an entry
        "detector": "MTCNN",
        "versions": versions,
        "device": devices.name(device),
        "threads": torch.get_num_threads(),
        "code": [code.version(f"cloakbench.photos.{name}") for name in DECIDING],
    }
    code.keep()
    return Faces(lambda: Detector(device), FaceStore(folder, about))


def _to_entry(found: Found) -> dict[str, Any]:
    if found.face is None:
        return {"passed_over": found.passed_over}
    return {"face": found.face, "looks": packed(found.looks)}


def _from_entry(digest: str, entry: dict[str, Any]) -> Found:
    if "face" not in entry:
        return Found(digest, passed_over=entry["passed_over"])
    *box, confidence, points, faces = entry["face"]
    points = points and tuple((x, y) for x, y in points)
    return Found(digest, Detection(*box, confidence, points, faces), unpacked(entry["looks"]))
