"""The command `cloakbench`: what can be asked of a finished study."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from cloakbench.errors import InputError

PUBLISHED = Path("workflow/reference/table1.csv")


def main() -> None:
    parser = ArgumentParser(prog="cloakbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="check every hash of a study and derive its tables anew")
    verify.add_argument("study", type=Path, help="results/<study>")
    verify.add_argument("--published", type=Path, default=PUBLISHED, help=f"the paper's Table 1 (default: {PUBLISHED})")
    verify.set_defaults(run=run_verify)
    options = parser.parse_args()
    try:
        sys.exit(options.run(options))
    except InputError as error:
        sys.exit(f"cloakbench {options.command}: error: {error}")


def run_verify(options: Namespace) -> int:
    """Print every difference; the exit status is 1 if there is any."""
    from cloakbench.verify import differences, photo_root  # slow to import, so not for --help

    found = list(differences(options.study, options.published))
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        return 1
    root = photo_root(options.study)
    photos = "" if root.is_dir() else f" (not checked: the photographs, there is no folder {root} here)"
    print(f"{options.study}: every file is what was written, every table follows from the ranks{photos}")
    return 0


if __name__ == "__main__":
    main()
