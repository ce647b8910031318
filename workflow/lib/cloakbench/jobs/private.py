"""A folder for what the jobs of one user on one machine share: sockets and locks. Standard library only."""

import os
from pathlib import Path


def own_folder(place: Path | None = None) -> Path:
    """A folder in `place`, or in the folder of temporary files, that is this user's alone.

    Raises OSError where there can be none, PermissionError if somebody else's lies in its place.
    """
    if place is None:
        import tempfile  # here, for a job that starts warm names its place

        place = Path(tempfile.gettempdir())
    directory = place / f"cloakbench-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory}: not a folder of this user alone")
    return directory
