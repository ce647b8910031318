"""Run the commands of jobs one after another in this process: python -m benchmarks.one_process JOBS.json"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path


def run_in_this_process(commands: Iterable[Sequence[str]]) -> None:
    for words in commands:
        sys.argv, stderr = list(words), sys.stderr
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as leaving:
            if leaving.code:
                raise
        finally:
            sys.stderr = stderr


if __name__ == "__main__":
    run_in_this_process(json.loads(Path(sys.argv[1]).read_text()))
