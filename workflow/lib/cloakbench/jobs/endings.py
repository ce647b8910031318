"""The last words of a job that cannot speak for itself: it crashed, or it was killed. Standard library only."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

MORE_MEMORY = "let fewer jobs run at once (--cores; on a GPU --resources gpu=1), or lower compute.batch"


def tell(command: list[str], status: int) -> None:
    """Print how a job ended, its log's path and last lines; what killed it goes into the log, too.

    command: the script and its arguments; status: its exit status as a shell gives it, 128 + n after signal n.
    """
    ended = f"cloakbench {Path(command[0]).stem}: {_how(status)}"
    if "--log" not in command[:-1]:
        print(ended, file=sys.stderr)
        return
    log = Path(command[command.index("--log") + 1])
    lines = last_lines(log)
    if status > 128:
        with suppress(OSError), log.open("a", encoding="utf-8") as file:
            print(f"\n{ended}", file=file)
    print(f"{ended}; last lines of {log}:", *(f"    {line}" for line in lines), sep="\n", file=sys.stderr, flush=True)


def _how(status: int) -> str:
    if status == 128 + signal.SIGKILL:
        return f"killed by SIGKILL, as happens to a job that takes more memory than there is; {MORE_MEMORY}"
    if status > 128:
        return f"killed by signal {status - 128} ({signal.strsignal(status - 128)})"
    return "crashed"


def last_lines(log: Path, count: int = 10) -> list[str]:
    """The last lines of a file that hold something; of a progress bar what it showed last."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        return [f"({error.strerror})"]
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in lines if line.strip()][-count:] or ["(empty)"]
