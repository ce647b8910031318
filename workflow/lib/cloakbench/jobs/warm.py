"""A warm start for the many short jobs of a study: importing torch takes seconds, forking a process that has done so
milliseconds.

    python -m cloakbench.jobs.warm scripts/craft.py --help

does what `python scripts/craft.py --help` does, in a fork of a parent (`parent.py`) that has imported the slow
libraries and nothing of this project. The first job starts the parent; it ends when no job has come for a while. Every
job has its own process, working directory and standard streams, and dies with the process that asked for it. Whatever
goes wrong before the script has begun, it is started plainly, and its log says why; after that it is begun no second
time. It is plain by design under CLOAKBENCH_WARM=0, on other systems than Linux, whose libraries do not bear a fork,
and inside a Slurm job, whose steps share no process. Of a job that crashed or was killed, which cannot speak for
itself, this process tells the last lines. Standard library only, and little of it: this is the one module that every
job imports cold, so what few of them need is imported where they need it.
"""

import fcntl
import hashlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cloakbench.jobs import parent
from cloakbench.jobs.private import own_folder

PATIENCE = 120.0  # seconds that a job waits for its fork, the parent's imports included
RESPITE = 300.0  # seconds after a parent failed in which no other is tried
WHY = "CLOAKBENCH_PLAIN"  # tells a plainly started script why, for its log
NOBODY = (FileNotFoundError, ConnectionRefusedError)  # what connecting raises where no parent listens


def main() -> None:
    command = sys.argv[1:]
    os.environ.pop(WHY, None)
    if path := os.environ.get("PYTHONPATH"):  # the parent lives in another folder
        os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    fork = None
    if possible():
        try:
            fork = forked(command)
        except Exception as error:
            os.environ[WHY] = f"{type(error).__name__}: {error}"
    status = start_plainly(command) if fork is None else outcome(fork)
    if status >= os.EX_SOFTWARE:
        from cloakbench.jobs.endings import tell

        tell(command, status)
    sys.exit(status)


def possible() -> bool:
    return sys.platform == "linux" and os.environ.get("CLOAKBENCH_WARM") != "0" and "SLURM_JOB_ID" not in os.environ


def start_plainly(command: list[str]) -> int:
    """Run the script in an interpreter of its own and wait for its exit status."""
    import subprocess

    job = subprocess.Popen([sys.executable, *command], preexec_fn=die_with_it)
    signal.signal(signal.SIGTERM, lambda *_: job.terminate())
    return parent.shell_status(job.wait())


def die_with_it() -> None:
    """Let this process be killed when its parent ends, where the system can: nobody takes its outputs any more."""
    with suppress(Exception):
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def forked(command: list[str]) -> socket.socket:
    """The connection to a fork that has been told to begin. Raises any exception if it has not and never will."""
    fork, address = connect()
    try:
        fork.settimeout(PATIENCE)
        job = json.dumps({"command": command, "cwd": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        socket.send_fds(fork, [parent.LENGTH.pack(len(job))], [0, 1, 2])
        fork.sendall(job)
        if fork.recv(1) != parent.READY:
            raise ConnectionError("the parent of the warm start was lost")
        fork.sendall(parent.GO)
    except Exception:
        fork.close()
        _failed(address).touch()
        address.unlink(missing_ok=True)
        raise
    fork.settimeout(None)
    return fork


def outcome(fork: socket.socket) -> int:
    """Wait for the exit status of a job that has begun, and for the end of its process."""
    answer = b""
    with suppress(ConnectionError):
        while more := fork.recv(parent.LENGTH.size):
            answer += more
    if len(answer) < parent.LENGTH.size:
        print("cloakbench: the job's process was lost", file=sys.stderr)
        return os.EX_SOFTWARE
    return parent.LENGTH.unpack_from(answer)[0]


def connect() -> tuple[socket.socket, Path]:
    """A connection to the parent, started if need be, and its address.

    Raises OSError where there is no place for its socket, RuntimeError if one failed in the first that there is.
    """
    errors = []
    for place in places():
        try:
            address = own_folder(place) / f"{key()}.socket"
            return _connected(address), address
        except OSError as error:
            errors.append(error)
    raise errors[0]


def places() -> Iterator[Path]:
    """Where the parent's socket may lie: the path of one has at most 107 bytes, and TMPDIR may be deep, or full."""
    named = filter(None, [os.environ.get("TMPDIR"), os.environ.get("XDG_RUNTIME_DIR"), "/tmp"])
    yield from map(Path, map(os.path.abspath, named))  # the parent lives in another folder


def key() -> str:
    """A name for all that a process is born with and a fork cannot change any more: of each there is another parent.

    That is the interpreter, the environment, as libraries read it when they start, and what the system hands down.
    """
    code = [(file, Path(file).stat().st_mtime_ns) for file in (__file__, parent.__file__, sys.executable)]
    environment = sorted((name, value) for name, value in os.environ.items() if not _varies(name))
    mask = os.umask(0)
    os.umask(mask)
    rights = [mask, os.getgid(), os.getgroups(), os.nice(0), sorted(os.sched_getaffinity(0))]
    limits = [_text(f"/proc/self/{name}") for name in ("cgroup", "limits", "ns/mnt")]
    return hashlib.sha256(repr([code, environment, rights, limits]).encode()).hexdigest()[:16]


def _varies(name: str) -> bool:
    """Whether an environment variable says where a job was asked for, how many threads it has, or what its study is:
    each sets its own. No library that the parent imports reads CLOAKBENCH_*."""
    asked = name in {"PWD", "OLDPWD", "SHLVL", "_"} or name.startswith("PYTEST_")
    return asked or name.endswith("_THREADS") or name.startswith("CLOAKBENCH_")


def _text(path: str) -> str:
    with suppress(OSError):
        return str(Path(path).readlink()) if Path(path).is_symlink() else Path(path).read_text()
    return ""


def _connected(address: Path) -> socket.socket:
    with suppress(*NOBODY):
        return _connect(address)
    with suppress(FileNotFoundError):
        if time.time() - _failed(address).stat().st_mtime < RESPITE:
            raise RuntimeError("the parent of the warm start failed a short while ago")
    with (address.parent / "warm.lock").open("w") as lock:  # of jobs that start together one starts the parent
        _wait_for(lock)
        with suppress(*NOBODY):
            return _connect(address)
        _start(address)
        return _connect(address)


def _failed(address: Path) -> Path:
    return address.with_suffix(".failed")


def _connect(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection


def _wait_for(lock) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def _start(address: Path) -> None:
    """Start a parent. It is given its socket, which must be had before seconds are spent on imports."""
    import subprocess

    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen(1024)
        command = [sys.executable, "-m", parent.__name__, str(server.fileno()), str(address)]
        # libraries make their threads when they are imported, and a fork has none of them
        one_thread = {name: "1" for name in [*os.environ, "OPENBLAS_NUM_THREADS"] if name.endswith("_THREADS")}
        quiet = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.DEVNULL)
        environment = os.environ | one_thread
        files = [server.fileno()]
        subprocess.Popen(command, **quiet, env=environment, cwd="/", pass_fds=files, start_new_session=True)


if __name__ == "__main__":
    main()
