"""The parent of the warm start: it has imported the slow libraries and forks a process for each job.

    python -m cloakbench.jobs.parent SOCKET ADDRESS

`warm.py` starts it and asks it: three streams, a job, READY back, GO, and in the end the exit status. A job begins
with GO and not before, so who asked can change its mind until then. When who asked is gone the system ends the job,
for it was told to. A job tells its exit status itself, the parent that of one that could not: a job
needs nobody but who asked for it. Standard library only, and nothing of this project: a fork imports that itself, as
it is by then.
"""

import fcntl
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FIRST_IMPORTS = ["pandas", "torch", "safetensors.torch", "tqdm"]
# those that few jobs need follow while the parent has nothing else to do
LATER_IMPORTS = [
    "facenet_pytorch",
    "timm.models.resnet",
    "torch.fx.experimental.optimization",
    "statsmodels.stats.multitest",
    "statsmodels.stats.proportion",
    "seaborn",
    "matplotlib.backends.backend_pdf",
]
IDLE = 30.0  # seconds without a job after which the parent ends
LENGTH = struct.Struct("!I")
READY, GO = b"R", b"G"


def serve(server: socket.socket, address: Path) -> None:
    """Import what is slow, then fork a process for each job until none has come for IDLE seconds."""
    woken = woken_by_the_end_of_a_job()
    installed = packages()
    for name in FIRST_IMPORTS:
        _import(name)
    later = list(LATER_IMPORTS)
    jobs: dict[int, socket.socket] = {}  # by process, who asked for it
    while True:
        while later and not _ready([server, woken], 0):
            _import(later.pop(0))
        ready = _ready([server, woken], IDLE)
        if woken in ready:
            woken.recv(4096)
            tell_ends(jobs)
        if not ready and not jobs:
            address.unlink(missing_ok=True)
            if not (ready := _ready([server], 0)):
                return
        if server in ready:
            if packages() != installed:  # anew, with the same socket: who waits there goes on waiting
                os.execv(sys.executable, [sys.executable, "-m", "cloakbench.jobs.parent", *sys.argv[1:]])
            connection, _ = server.accept()
            pid = _fork(lambda: _job(connection, [server, woken, *jobs.values()]))  # noqa: B023, it is called at once
            jobs[pid] = connection


def woken_by_the_end_of_a_job() -> socket.socket:
    """A socket that has something to read when a child has ended."""
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.detach(), warn_on_full_buffer=False)
    return woken


def tell_ends(jobs: dict[int, socket.socket]) -> None:
    """Take the jobs that have ended out of `jobs`, and tell who asked for them their exit status."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if connection := jobs.pop(ended[0], None):
                with connection, suppress(OSError):  # it may be gone
                    connection.sendall(LENGTH.pack(shell_status(os.waitstatus_to_exitcode(ended[1]))))


def packages() -> list[tuple[str, int]]:
    """What is installed: each package's record has its version in its name and its date."""
    found = []
    for place in sys.path:
        with suppress(OSError), os.scandir(place or ".") as entries:
            records = [entry for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
            found += [(record.path, record.stat().st_mtime_ns) for record in records]
    return sorted(found)


def _import(name: str) -> None:
    with suppress(Exception):  # the job that needs it will say so
        importlib.import_module(name)


def _ready(sockets: list[socket.socket], seconds: float) -> list[socket.socket]:
    return select.select(sockets, [], [], seconds)[0]


def _fork(child: Callable[[], int]) -> int:
    """The id of a process that runs `child` and ends with the status it returns, whatever happens in it."""
    pid = os.fork()
    if pid:
        return pid
    status = os.EX_SOFTWARE
    try:
        status = child()
    finally:
        os._exit(status)


def shell_status(status: int) -> int:
    """The exit status as a shell gives it: 128 and the signal's number for a process that was killed."""
    return status if status >= 0 else 128 - status


def _receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _job(connection: socket.socket, others: list[socket.socket]) -> int:
    """The job itself: what a plainly started interpreter would find, then, at GO, the script."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for other in others:
        other.close()
    os.setpgid(0, 0)
    os.register_at_fork(after_in_child=connection.close)  # who waits for the end waits for none of its children
    header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    job = json.loads(_receive(connection, LENGTH.unpack(header)[0]))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETOWN, -os.getpgrp())
    connection.sendall(READY)
    if connection.recv(1) != GO:
        return os.EX_SOFTWARE
    # from here on the system kills this process and its children when the other end is closed
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    if _ready([connection], 0):  # it was closed before that
        return os.EX_SOFTWARE
    _fresh_streams()
    status = _run(job["command"])
    connection.sendall(LENGTH.pack(status & 0xFF))
    return status


def _fresh_streams() -> None:
    for name in ("stdin", "stdout", "stderr"):
        old = getattr(sys, f"__{name}__")
        mode, buffering = ("r" if name == "stdin" else "w"), (1 if name == "stderr" else -1)
        new = open(old.fileno(), mode, buffering, old.encoding, old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)


def _run(command: list[str]) -> int:
    """The exit status of a script, as an interpreter gives it."""
    script, status = command[0], 0
    sys.argv = command
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as leaving:
        status = leaving.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
