"""A folder for what the jobs of one user on one machine share: sockets and locks. Standard library only."""

import os
import tempfile
from pathlib import Path


def own_folder() -> Path:
    """A temporary folder that is this user's alone. Raises PermissionError if somebody else's lies in its place."""
    directory = Path(tempfile.gettempdir()) / f"cloakbench-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(directory)
    return directory
