"""The parent of the warm start: it has imported the slow libraries and forks a process for each job.

    python -m cloakbench.jobs.parent SOCKET ADDRESS

`warm.py` starts it and asks it: three streams, a job, READY back, GO, and in the end the exit status. A job begins
with GO and not before, so who asked can change its mind until then. Between parent and job stands a watch, which ends
the job when who asked is gone, and with which the job dies. Standard library only, and nothing of this project: a fork
imports that itself, as it is by then.
"""

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
    "statsmodels.api",
    "seaborn",
    "matplotlib.backends.backend_pdf",
]
IDLE = 30.0  # seconds without a job after which the parent ends
LENGTH = struct.Struct("!I")
READY, GO = b"R", b"G"


def serve(server: socket.socket, address: Path) -> None:
    """Import what is slow, then fork a watch for each job until none has come for IDLE seconds."""
    installed = packages()
    for name in FIRST_IMPORTS:
        _import(name)
    later = list(LATER_IMPORTS)
    while True:
        while later and not _waits(server, 0):
            _import(later.pop(0))
        if not _waits(server, IDLE):
            if _children_left():
                continue
            address.unlink(missing_ok=True)
            if not _waits(server, 0):
                return
        if packages() != installed:  # anew, with the same socket: who waits there goes on waiting
            os.execv(sys.executable, [sys.executable, "-m", "cloakbench.jobs.parent", *sys.argv[1:]])
        connection, _ = server.accept()
        with connection:  # an error is this process's end, and a plain start for who is hung up on
            _fork(lambda: _watch(server, connection))  # noqa: B023, it is called at once
        _children_left()


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


def _waits(server: socket.socket, seconds: float) -> bool:
    return bool(select.select([server], [], [], seconds)[0])


def _children_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


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


def _watch(server: socket.socket, connection: socket.socket) -> int:
    """Run one job in a fork, report its exit status; end it if the process that asked for it is gone."""
    server.close()
    header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    job = json.loads(_receive(connection, LENGTH.unpack(header)[0]))
    woken, wake = socket.socketpair()  # by the job's death, for who waits for its connection as well
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    begun, begin = os.pipe()
    pid = _fork(lambda: _job(job, streams, connection, begin))
    for file in (begin, *streams):
        os.close(file)
    if not os.read(begun, 1):
        return os.EX_SOFTWARE
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        ready, _, _ = select.select([woken, connection], [], [])
        if connection in ready:  # closed, for nothing more is sent
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 0
        woken.recv(1)
    connection.sendall(LENGTH.pack(shell_status(os.waitstatus_to_exitcode(ended[1]))))
    return 0


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


def die_with_it() -> None:
    """Let this process be killed when its parent ends, where the system can: nobody takes its outputs any more."""
    with suppress(Exception):
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _job(job: dict, streams: list[int], connection: socket.socket, begin: int) -> int:
    """The job itself: what a plainly started interpreter would find, then, at GO, the script."""
    os.setpgid(0, 0)
    die_with_it()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    connection.sendall(READY)
    if connection.recv(1) != GO:
        return os.EX_SOFTWARE
    connection.close()
    os.write(begin, GO)  # an error if the watch is gone
    os.close(begin)
    _fresh_streams()
    return _run(job["command"])


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
