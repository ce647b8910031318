"""The warm start does what a plain start does, and whatever fails, each job runs once: streams, status, death."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloakbench.jobs import warm
from cloakbench.jobs.private import own_folder
from conftest import ROOT, checkout_copy, snakemake

LIBRARY = ROOT / "workflow/lib"
SCRIPT = """
import os, sys, time
print("out", sys.argv[1:], os.environ.get("COLOUR"), os.getcwd())
print("err", file=sys.stderr)
open("pid", "w").write(f"{os.getpid()} {os.getppid()} ")
open("starts", "a").write("warm\\n" if "torch" in sys.modules else "plain\\n")
open("why", "w").write(os.environ.get("CLOAKBENCH_PLAIN", ""))
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""
SLOW = ["pandas", "torch", "safetensors", "tqdm", "facenet_pytorch", "timm", "statsmodels", "seaborn", "matplotlib"]


class Desk:
    """Jobs with a parent of their own, whose slow libraries are empty ones unless a test fills them."""

    def __init__(self, folder: Path, temporary: Path):
        self.folder, self.temporary = folder, temporary
        self.libraries = folder / "libraries"
        self.libraries.mkdir()
        for name in SLOW:
            (self.libraries / f"{name}.py").touch()
        (folder / "job.py").write_text(SCRIPT)
        self.started: list[subprocess.Popen] = []

    def environment(self, **others: str) -> dict[str, str]:
        own = {"PYTHONPATH": f"{LIBRARY}:{self.libraries}", "TMPDIR": str(self.temporary), "COLOUR": "red"}
        return os.environ | own | {"XDG_RUNTIME_DIR": str(self.temporary)} | others

    def start(self, *arguments: str, before: str = "", **environment: str) -> subprocess.Popen:
        """Start job.py; before: code that the launcher runs first."""
        launcher = ["-m", "cloakbench.jobs.warm"]
        if before:
            imported = "from cloakbench.jobs import warm, parent\nimport os, socket, sys\n"
            launcher = ["-c", f"{imported}{before}\nwarm.main()"]
        command = [sys.executable, "-S", *launcher, str(self.folder / "job.py"), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = self.environment(**environment)
        job = subprocess.Popen(command, cwd=self.folder, text=True, env=environment, errors="replace", **pipes)
        self.started.append(job)
        return job

    def run(self, *arguments: str, **options: str) -> tuple[str, str, int]:
        job = self.start(*arguments, **options)
        out, err = job.communicate(timeout=60)
        return out, err, job.returncode

    def works(self, **options: str) -> str:
        """How a job was started that does what it should, once."""
        before = self.starts()
        assert self.run("0", "7", **options) == (f"out ['0', '7'] red {self.folder}\n", "err\n", 7)
        assert len(self.starts()) == len(before) + 1
        return self.starts()[-1]

    def starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []

    def why(self) -> str:
        return (self.folder / "why").read_text()


@pytest.fixture
def desk(tmp_path):
    """As short a folder as there is: pytest's are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="w") as temporary:
        desk = Desk(tmp_path, Path(temporary))
        yield desk
        for job in desk.started:
            job.kill()
            job.wait()
            job.stdout.close()
            job.stderr.close()


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def running(desk: Desk) -> tuple[int, int]:
    """The process ids of the job and its parent, when it runs."""
    assert until(lambda: (desk.folder / "pid").exists() and (desk.folder / "pid").read_text().endswith(" "))
    job, above = (desk.folder / "pid").read_text().split()
    return int(job), int(above)


# ------------------------------------------------------------------------------------------------ as a plain start


@pytest.mark.parametrize(
    "environment, start",
    [({}, "warm"), ({"SLURM_JOB_ID": "1"}, "plain"), ({"CLOAKBENCH_WARM": "0"}, "plain")],
    ids=["warm", "slurm", "switched off"],
)
def test_streams_status_and_environment(desk, environment, start):
    assert [desk.works(**environment), desk.works(**environment), desk.why()] == [start, start, ""]


def test_jobs_find_torch_imported_and_the_project_not(desk):
    """With the libraries themselves."""
    (desk.folder / "job.py").write_text(
        "import sys; print('torch' in sys.modules, [m for m in sys.modules if m.startswith('cloakbench.')])"
    )
    # its package alone, which is empty: the parent is a module of it
    assert desk.run(PYTHONPATH=str(LIBRARY))[0] == "True ['cloakbench.jobs']\n"


ENDINGS = {
    "words": "sys.exit('no such face')",
    "none": "sys.exit()",
    "large": "sys.exit(256 + 3)",
    "traceback": "raise KeyError('lost')",
    "unknown letters": "print('caf\\udce9', file=sys.stderr)",
    "killed": "os.kill(os.getpid(), 9)",
    "killed while it spoke": "print('last words', file=sys.stderr); os.kill(os.getpid(), 9)",
    "path": "import neighbour",
}


@pytest.mark.parametrize("safe", ["", "1"], ids=["", "safe path"])
def test_every_ending_is_the_same(desk, safe):
    (desk.folder / "neighbour.py").touch()
    for name, deed in ENDINGS.items():
        (desk.folder / "job.py").write_text(f"import os, sys\n{deed}")
        said, plain = (desk.run(PYTHONSAFEPATH=safe, CLOAKBENCH_WARM=switch) for switch in ("1", "0"))
        assert said[::2] == plain[::2], name
        words, plain_words = (re.findall(r"^\S.*", text, re.MULTILINE) for text in (said[1], plain[1]))
        assert words == plain_words, name  # but for a traceback's lines


# ------------------------------------------------------------------------------------------------ one dies


@pytest.mark.parametrize("start", ["warm", "plain"])
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_dies_with_who_asked_for_it(desk, blow, start):
    launcher = desk.start("60", "0", CLOAKBENCH_WARM=str(int(start == "warm")))
    job, _ = running(desk)
    assert desk.starts() == [start]
    launcher.send_signal(blow)
    launcher.wait(10)
    assert until(lambda: not alive(job), 10)


@pytest.mark.parametrize("start", ["warm", "plain"])
def test_the_processes_of_a_job_die_with_it(desk, start):
    shutil.copy(ROOT / "scripts/render.py", desk.folder / "job.py")
    options = ["--identities", "500", "--photos", "9", "--seed", "0", "--threads", "2", "--output", "photos"]
    launcher = desk.start(*options, PYTHONPATH=str(LIBRARY), CLOAKBENCH_WARM=str(int(start == "warm")))
    assert until(lambda: len(list(desk.folder.glob(".photos.*.part/id*"))) > 2)
    mine = [pid for pid in [int(path.name) for path in Path("/proc").glob("[0-9]*")] if cwd(pid) == desk.folder]
    assert len(mine) >= 4 and launcher.pid in mine
    launcher.kill()
    launcher.wait()
    try:
        assert until(lambda: not any(map(alive, mine)), 10)
    finally:
        for pid in filter(alive, mine):
            os.kill(pid, signal.SIGKILL)


def cwd(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def test_a_job_needs_no_parent_any_more(desk):
    launcher = desk.start("2", "7")
    _, parent = running(desk)
    os.kill(parent, signal.SIGKILL)
    assert until(lambda: not alive(parent)) and launcher.wait(30) == 7
    assert desk.starts() == ["warm"] and desk.works() == "warm"


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_without_its_parent_a_job_dies_with_who_asked_for_it(desk, blow):
    launcher = desk.start("60", "0")
    job, parent = running(desk)
    os.kill(parent, signal.SIGKILL)
    assert until(lambda: not alive(parent)) and alive(job)
    launcher.send_signal(blow)
    launcher.wait(10)
    assert until(lambda: not alive(job), 10)


def test_without_its_parent_a_killed_job_is_lost(desk):
    launcher = desk.start("60", "0")
    job, parent = running(desk)
    os.kill(parent, signal.SIGKILL)
    assert until(lambda: not alive(parent))
    os.kill(job, signal.SIGKILL)
    assert "the job's process was lost" in launcher.communicate(timeout=10)[1]
    assert launcher.returncode == os.EX_SOFTWARE and desk.starts() == ["warm"]


def test_nobody_waits_for_what_a_killed_job_leaves_behind(desk):
    (desk.folder / "job.py").write_text(
        "import os, time\nif not os.fork(): open('pid', 'w').write(f'{os.getpid()} 0 '); time.sleep(60)\n"
        "while not os.path.exists('pid'): pass\nos.kill(os.getpid(), 9)"
    )
    assert desk.start().wait(30) == 128 + signal.SIGKILL
    os.kill(running(desk)[0], signal.SIGKILL)


def test_jobs_side_by_side_end_one_by_one(desk):
    """In another order than they began; of one that is killed nobody else hears."""
    long, short, killed = (desk.start(seconds, status) for seconds, status in (("3", "5"), ("0.5", "6"), ("60", "0")))
    assert short.wait(30) == 6
    killed.kill()
    assert long.poll() is None and long.wait(30) == 5
    assert desk.starts() == ["warm"] * 3


def test_a_killed_job_is_told_from_a_finished_one(desk):
    (desk.folder / "job.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert desk.run()[2] == 128 + signal.SIGKILL


def test_a_stopped_job_goes_on(desk):
    launcher = desk.start("0.5", "7")
    job, _ = running(desk)
    os.kill(job, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(job, signal.SIGCONT)
    assert launcher.wait(30) == 7


# ------------------------------------------------------------------------------------------------ no parent

NO_FORK = "import errno, os\ndef fork(): raise OSError(errno.EAGAIN, 'no more processes')\n"
PARENTS = {  # what is wrong with the parent, as code in its torch
    "dies": "import os; os._exit(1)",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "cannot fork": f"{NO_FORK}os.fork = fork",
    "whose job dies": "import os\nos.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), 9))",
    "whose job cannot be told to die": "import fcntl; del fcntl.F_SETSIG",
    "cannot receive": "import socket; del socket.recv_fds",
    "cannot send": "import socket; socket.socket.sendall = None",
}


@pytest.mark.parametrize("fault", PARENTS.values(), ids=PARENTS)
def test_a_parent_that_fails_means_a_plain_start_and_no_other_for_a_while(desk, fault):
    (desk.libraries / "torch.py").write_text(fault)
    assert desk.works() == "plain" and desk.why()
    (desk.libraries / "torch.py").write_text("")  # mended
    assert desk.works() == "plain" and "failed a short while ago" in desk.why()
    (mark,) = own_folder(desk.temporary).glob("*.failed")
    os.utime(mark, (0, 0))
    assert desk.works() == "warm" and not desk.why()


def test_a_parent_that_hangs_is_left_alone_and_runs_nothing_later(desk):
    """It wakes up when the job that asked it has been run plainly."""
    forks = f"os.register_at_fork(after_in_parent=lambda: open({str(desk.folder / 'forks')!r}, 'a').write('.'))"
    (desk.libraries / "torch.py").write_text(f"import os, time; time.sleep(3); {forks}")
    assert desk.works(before="warm.PATIENCE = 0.5") == "plain" and "TimeoutError" in desk.why()
    forks = desk.folder / "forks"
    assert until(lambda: forks.exists() and len(forks.read_text()) == 1), "the job that it would run"
    time.sleep(0.5)
    assert desk.starts() == ["plain"]


def test_a_fork_that_is_not_told_to_begin_never_does(desk):
    """It is ready, and who asked is dissatisfied."""
    assert desk.works(before="parent.READY = b'?'") == "plain" and desk.why()
    time.sleep(1)
    assert desk.starts() == ["plain"]


@pytest.mark.parametrize("answer", [b"", b"?", b"HTTP/1.1 400 Bad Request\r\n"], ids=["none", "a letter", "words"])
def test_a_parent_that_talks_nonsense_is_not_believed(desk, answer):
    command = [sys.executable, "-S", "-c", "from cloakbench.jobs import warm; print(warm.key())"]
    key = subprocess.run(command, env=desk.environment(), capture_output=True, text=True).stdout.strip()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(own_folder(desk.temporary) / f"{key}.socket"))
        server.listen()
        server.settimeout(30)
        job = desk.start("0", "7")
        with server.accept()[0] as connection:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            assert job.wait(30) == 7
    assert desk.starts() == ["plain"] and desk.why()


LAUNCHERS = {
    "no sockets": "def refuse(*_): raise OSError('no sockets here')\nsocket.socket = refuse",
    "no Unix sockets": "del socket.AF_UNIX",
    "no streams handed over": "del socket.send_fds",
    "no processes": "def refuse(*_): raise BlockingIOError('no more processes')\nwarm._start = refuse",
    "no temporary folder": "warm.places = lambda: iter([warm.Path('/dev/null')])",
    "a full one": "def full(place): raise OSError(28, 'No space left on device')\nwarm.own_folder = full",
    "a deep one": "warm.places = lambda: iter([warm.Path(os.environ['DEEP'])])",
    "a locked one": "import fcntl\ndef lock(*_): raise OSError(37, 'No locks available')\nfcntl.flock = lock",
}


@pytest.mark.parametrize("fault", LAUNCHERS.values(), ids=LAUNCHERS)
def test_where_no_parent_can_be_had_the_start_is_plain(desk, fault):
    deep = desk.folder / ("deep" * 25)
    deep.mkdir()
    assert desk.works(before=fault, DEEP=str(deep)) == "plain" and desk.why()


def test_other_systems_start_plainly(desk):
    assert desk.works(before="sys.platform = 'darwin'; del os.sched_getaffinity") == "plain" and not desk.why()


@pytest.mark.parametrize("fault", ["long", "open to others", "a file", "no folder"])
def test_a_place_that_will_not_do_is_no_obstacle(desk, fault):
    place = desk.folder / ("scratch_" * 12 if fault == "long" else "scratch")
    if fault == "no folder":
        place.touch()
    else:
        place.mkdir()
    if fault == "open to others":
        own_folder(place).chmod(0o777)
    if fault == "a file":
        (place / f"cloakbench-{os.getuid()}").touch()
    assert desk.works(TMPDIR=str(place)) == "warm"


def test_without_pidfd_the_start_is_warm(desk):
    (desk.libraries / "sitecustomize.py").write_text("import os\nos.__dict__.pop('pidfd_open', None)")
    assert desk.works() == "warm"


# ------------------------------------------------------------------------------------------------ whose parent


def test_new_packages_are_used_at_once(desk):
    """Of other sizes: bytecode is told from that of a file of the same size, written in the same second, by nothing."""
    (desk.folder / "job.py").write_text("import sys, torch; print(torch.VERSION, sys.argv[0] != '')")
    for version in ("1", "2.1", "2.1.1"):
        (desk.libraries / "torch.py").write_text(f"VERSION = '{version}'")
        (desk.libraries / f"torch-{version}.dist-info").mkdir()
        assert desk.run() == (f"{version} True\n", "", 0)
        assert desk.run() == (f"{version} True\n", "", 0)
    assert len([*own_folder(desk.temporary).glob("*.socket")]) == 1, "its parent is the same process, anew"
    shutil.rmtree(desk.libraries / "torch-2.1.1.dist-info")
    (desk.libraries / "torch.py").write_text("VERSION = 'back at 2'")
    assert desk.run()[0] == "back at 2 True\n"


@pytest.mark.parametrize(
    "name, other",
    [
        *[("OMP_PROC_BIND", True), ("MKL_CBWR", True), ("LD_PRELOAD", True), ("GLIBC_TUNABLES", True), ("LANG", True)],
        *[("PYTHONHASHSEED", True), ("CUDA_VISIBLE_DEVICES", True), ("ATEN_CPU_CAPABILITY", True)],
        *[("OMP_NUM_THREADS", False), ("MKL_NUM_THREADS", False), ("VECLIB_MAXIMUM_THREADS", False), ("PWD", False)],
        *[("PYTEST_XDIST_WORKER", False), ("CLOAKBENCH_ABOUT", False), ("CLOAKBENCH_CONFIG", False)],
    ],
)
def test_another_environment_is_another_parent_and_a_thread_more_is_none(monkeypatch, name, other):
    keys = set()
    for value in ("1", "2"):
        monkeypatch.setenv(name, value)
        keys.add(warm.key())
    assert (len(keys) == 2) == other


def test_what_the_system_hands_down_is_another_parent():
    ways = ["pass", "os.umask(0o77)", "os.nice(1)", "resource.setrlimit(resource.RLIMIT_CORE, (1, 1))"]
    if len(os.sched_getaffinity(0)) > 1:
        ways.append("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])")
    code = "import os, resource; from cloakbench.jobs import warm; {}; print(warm.key())"
    keys = {
        subprocess.run([sys.executable, "-c", code.format(way)], cwd=LIBRARY, capture_output=True, text=True).stdout
        for way in [*ways, "pass"]
    }
    assert len(keys) == len(ways) and "" not in keys


def test_libraries_start_with_one_thread_whatever_the_first_job_has(desk):
    (desk.libraries / "torch.py").write_text("import os\nfound = os.environ['OMP_NUM_THREADS']")
    (desk.folder / "job.py").write_text("import os, torch; print(torch.found, os.environ['OMP_NUM_THREADS'])")
    assert [desk.run(OMP_NUM_THREADS=number)[0] for number in "42"] == ["1 4\n", "1 2\n"]


def test_a_library_path_is_seen_from_the_folder_of_the_job(desk):
    (desk.libraries / "colours.py").write_text("red = 1")
    (desk.folder / "job.py").write_text("import sys, colours; print('torch' in sys.modules)")
    assert desk.run(PYTHONPATH=f"{LIBRARY}:libraries")[:2] == ("True\n", "")


# ------------------------------------------------------------------------------------------------ whole studies

MACOS = """
import os, sys
for name in ("pidfd_open", "posix_fallocate", "sched_getaffinity", "memfd_create"):
    os.__dict__.pop(name, None)
"""


@pytest.mark.parametrize("switch, stage", [("1", "crop"), ("0", "render")])
def test_a_study_without_what_linux_alone_has(tmp_path, monkeypatch, switch, stage):
    (tmp_path / "sitecustomize.py").write_text(MACOS)
    study = ["--cores", 2, "--configfile", ROOT / "tests/small.yaml", "--until", stage]
    monkeypatch.setenv("CLOAKBENCH_WARM", switch)
    run = snakemake(tmp_path / "study", *study, PYTHONPATH=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "study/results/small").glob({"crop": "*/*.npy", "render": "photos"}[stage]))) == 1
    logs = [log.read_text() for log in (tmp_path / "study/logs").rglob("*.log")]
    assert logs and not any("started plainly" in log for log in logs)


def test_windows_is_refused_in_one_line(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import platform\nplatform.system = lambda: 'Windows'")
    run = snakemake(tmp_path / "study", "-n", root=checkout_copy(tmp_path / "copy"), PYTHONPATH=str(tmp_path))
    assert run.returncode != 0 and run.stderr.splitlines()[-1].startswith("cloakbench: runs on Linux and macOS; on Win")
    assert "WSL" in run.stderr and "Traceback" not in run.stderr
