"""What every script does around its one library call: arguments, a log, and errors that are one line."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.jobs.endings import MORE_MEMORY
from cloakbench.platforms import peak_memory


def parser(description: str) -> ArgumentParser:
    """An argument parser whose --help is the script's docstring."""
    arguments = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    arguments.add_argument("--log", type=Path, help="also write progress, warnings and errors to this file")
    arguments.add_argument(
        "--settings", type=json.loads, default={}, help="JSON: what the outputs are made with, for their seals"
    )
    return arguments


def compute_options(arguments: ArgumentParser) -> None:
    """Add what every stage with a network takes; none of it may change what is computed but for `batch`."""
    arguments.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    judging_options(arguments)


def judging_options(arguments: ArgumentParser) -> None:
    """Add what every stage takes that judges what a network has put out, on the CPU."""
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    arguments.add_argument("--batch", type=int, default=16, help="faces computed at once")


def precision_option(arguments: ArgumentParser) -> None:
    """Add `--precision`, which crafting may lower; what judges a face always computes in fp32."""
    arguments.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32", help="of the gradients")


def part_option(arguments: ArgumentParser) -> None:
    """Add `--part`, a slice of the study's attacked faces: all of them unless they are spread over several jobs."""
    arguments.add_argument(
        "--part",
        type=lambda text: slice(*map(int, text.split(":"))),
        default=slice(None),
        metavar="FIRST:END",
        help="only these of the attacked faces, counted from 0, END not included",
    )


def run(main: Callable[[Namespace], None], arguments: ArgumentParser) -> None:
    """Parse the command line and call `main`; bad input ends in one line and exit status 1.

    The log holds everything. Where the fault is the program's own that is a traceback, and the status EX_SOFTWARE.
    """
    options = arguments.parse_args()
    started = time.monotonic()
    try:
        if options.log:
            sys.stderr = _Tee(sys.stderr, _opened(options.log))
            if why := os.environ.get("CLOAKBENCH_PLAIN"):
                print(f"started plainly ({why})", file=sys.stderr.log)
        seals.made_with(options.settings)
        main(options)
        if options.log:
            print(_cost(started), file=sys.stderr.log)
    except InputError as error:
        _fail(str(error), options.log, 1)
    except Exception as error:
        traceback.print_exc()
        advice = f"; {MORE_MEMORY}" if _lacks_memory(error) else ""
        _fail(f"{type(error).__name__}: {error}{advice}", options.log, os.EX_SOFTWARE)


def warn(message: str) -> None:
    """Tell the user, in one line, of what does not stop the study."""
    _tell("WARNING", message)


def _opened(log: Path) -> io.TextIOBase:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{log}: cannot be written ({error.strerror}); make room or give access") from None


def _lacks_memory(error: Exception) -> bool:
    """Python's and numpy's error, torch's on a GPU, torch's on a CPU; torch is not imported here."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return torchs or isinstance(error, MemoryError)


def _cost(started: float) -> str:
    return (
        f"done in {time.monotonic() - started:.1f} s, {time.process_time():.1f} s of CPU, "
        f"peak memory {peak_memory() / 2**20:.0f} MB"
    )


def _fail(message: str, log: Path | None, status: int) -> None:
    _tell("error", " ".join(message.split()) + (f" (log: {log})" if log else ""))
    sys.exit(status)


def _tell(kind: str, message: str) -> None:
    """One line into the log and to the user, watching or not."""
    line = f"cloakbench {Path(sys.argv[0]).stem}: {kind}: {message}"
    print(line, file=sys.stderr)
    if isinstance(sys.stderr, _Tee) and not sys.stderr.isatty():
        print(line, file=sys.stderr.terminal, flush=True)


class _Tee(io.TextIOBase):
    """Standard error into the log, and onto a terminal where there is one to watch.

    A progress bar takes one line of the log however often it moves.
    """

    def __init__(self, terminal: io.TextIOBase, log: io.TextIOBase):
        self.terminal, self.log, self.line = terminal, log, 0

    def isatty(self) -> bool:
        return self.terminal.isatty()

    def write(self, text: str) -> int:
        if self.isatty():
            self.terminal.write(text)
        with suppress(OSError):  # a full disk must not hide what went wrong
            if text.startswith("\r"):
                self.log.seek(self.line)
                self.log.truncate()
            self.log.write(text.removeprefix("\r"))
            self.log.flush()
            if text.endswith("\n"):
                self.line = self.log.tell()
        return len(text)

    def flush(self) -> None:
        self.terminal.flush()
        with suppress(OSError):
            self.log.flush()
