"""A warm start for the many short jobs of a study: importing torch takes seconds, forking a process that has done so
milliseconds.

    python -m cloakbench.warm scripts/craft.py --help

does what `python scripts/craft.py --help` does, in a fork of a parent that has imported the slow libraries and nothing
of this project. The first job starts the parent; it ends when no job has come for a while. Every job has its own
process, environment, working directory and standard streams, and dies with the process that asked for it. Where no
parent can be had, and inside a Slurm job, whose steps share no process, the script is started plainly. Of a job that
crashed or was killed, which cannot speak for itself, this process tells the last lines. Standard library only: this
is the one module that every job imports cold.
"""

import fcntl
import hashlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import time
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
PATIENCE = 120.0  # seconds that a job waits for the parent's imports before it starts plainly
GRACE = 5.0  # seconds between asking an abandoned job to end and killing it
LENGTH = struct.Struct("!I")


def main() -> None:
    if sys.argv[1] == "--serve":
        serve(Path(sys.argv[2]))
        return
    command = sys.argv[1:]
    connection = None if "SLURM_JOB_ID" in os.environ else connect()
    status = start_plainly(command) if connection is None else submit(connection, command)
    if status >= os.EX_SOFTWARE:
        from cloakbench.endings import tell  # here, as below

        tell(command, status)
    sys.exit(status)


def start_plainly(command: list[str]) -> int:
    """Run the script in an interpreter of its own and wait for its exit status."""
    job = subprocess.Popen([sys.executable, *command])
    signal.signal(signal.SIGTERM, lambda *_: job.terminate())
    return shell_status(job.wait())


def shell_status(status: int) -> int:
    """The exit status as a shell gives it: 128 and the signal's number for a process that was killed."""
    return status if status >= 0 else 128 - status


def connect() -> socket.socket | None:
    """A connection to the parent, started if need be; None where there can be none."""
    try:
        address = meeting_point()
        if connection := _try(address):
            return connection
        with address.with_suffix(".lock").open("w") as lock:  # of jobs that start together one starts the parent
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _try(address) or _start(address)
    except OSError:
        return None


def meeting_point() -> Path:
    """The parent's socket, in a folder of this user alone; another interpreter or library path is another parent."""
    from cloakbench.private import own_folder  # here, for the parent imports nothing of the project

    key = [sys.executable, os.environ.get("PYTHONPATH", ""), __file__, Path(__file__).stat().st_mtime_ns]
    return own_folder() / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.socket"


def _try(address: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        return None
    return connection


def _start(address: Path) -> socket.socket | None:
    command = [sys.executable, "-m", "cloakbench.warm", "--serve", str(address)]
    quiet = subprocess.DEVNULL
    # OpenBLAS starts its threads when it is imported, and a fork has none of them
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    parent = subprocess.Popen(
        command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, env=environment, cwd="/"
    )
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and parent.poll() is None:
        if connection := _try(address):
            return connection
        time.sleep(0.05)
    return None


def submit(connection: socket.socket, command: list[str]) -> int:
    """Hand the job over with this process's streams and wait for its exit status."""
    job = json.dumps({"command": command, "cwd": str(Path.cwd()), "environment": dict(os.environ)}).encode()
    socket.send_fds(connection, [LENGTH.pack(len(job))], [0, 1, 2])
    connection.sendall(job)
    answer = connection.recv(LENGTH.size)
    if len(answer) < LENGTH.size:
        print("cloakbench: the job's process was lost", file=sys.stderr)
        return os.EX_SOFTWARE
    return LENGTH.unpack(answer)[0]


def serve(address: Path) -> None:
    """Import what is slow, then fork a process for each job until none has come for IDLE seconds."""
    for name in FIRST_IMPORTS:
        _import(name)
    address.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(address))
    server.listen(128)
    server.settimeout(IDLE)
    watchers: set[int] = set()
    later = list(LATER_IMPORTS)
    while True:
        while later and not select.select([server], [], [], 0)[0]:
            _import(later.pop(0))
        try:
            connection, _ = server.accept()
        except TimeoutError:
            watchers = {pid for pid in watchers if os.waitpid(pid, os.WNOHANG)[0] == 0}
            if watchers:
                continue
            address.unlink(missing_ok=True)
            return
        pid = os.fork()
        if pid == 0:
            server.close()
            os._exit(_watch(connection))
        connection.close()
        watchers.add(pid)
        watchers = {pid for pid in watchers if os.waitpid(pid, os.WNOHANG)[0] == 0}


def _import(name: str) -> None:
    with suppress(ImportError):  # the job that needs it will say so
        importlib.import_module(name)


def _watch(connection: socket.socket) -> int:
    """Run one job in a fork, report its exit status; end it if the process that asked for it is gone."""
    header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    if len(header) < LENGTH.size:
        return 0
    job = json.loads(_receive(connection, LENGTH.unpack(header)[0]))
    pid = os.fork()
    if pid == 0:
        connection.close()
        os._exit(_run(job, streams))
    done = os.pidfd_open(pid)
    for stream in streams:
        os.close(stream)
    ready, _, _ = select.select([done, connection], [], [])
    if done not in ready:
        os.killpg(pid, signal.SIGTERM)
        if not select.select([done], [], [], GRACE)[0]:
            os.killpg(pid, signal.SIGKILL)
    status = shell_status(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    with suppress(OSError):  # nobody waits for it any more
        connection.sendall(LENGTH.pack(status))
    return 0


def _receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _run(job: dict, streams: list[int]) -> int:
    """The job itself: what a plainly started interpreter would find, then the script."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    script = job["command"][0]
    sys.argv, sys.path[0] = job["command"], str(Path(script).resolve().parent)
    for name in ("stdin", "stdout", "stderr"):
        stream = open(getattr(sys, f"__{name}__").fileno(), "r" if name == "stdin" else "w", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    try:
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    main()
