"""What differs between the systems that a study runs on: Linux, macOS, and on Windows the Linux in it. Standard library
only."""

import errno
import os
import platform
import sys
from pathlib import Path


def refuse_windows() -> None:
    """End in one line on Windows, where the jobs find neither a shell nor what they ask of a system."""
    if platform.system().startswith(("Windows", "CYGWIN", "MINGW", "MSYS")):
        raise SystemExit("cloakbench: runs on Linux and macOS; on Windows run it in WSL (in a terminal: wsl --install)")


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    import resource  # here, for Windows has none

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def reserve(path: Path) -> None:
    """Give every byte of a file its place on the disk, its content unchanged. Raises OSError where that is full."""
    size, block = path.stat().st_size, 2**20
    with path.open("r+b") as file:
        try:
            return os.posix_fallocate(file.fileno(), 0, size)
        except AttributeError:  # macOS
            pass
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        for start in range(0, size, block):  # what is read of a hole are zeros, and they are written into it
            file.seek(start)
            content = file.read(block)
            file.seek(start)
            file.write(content)
