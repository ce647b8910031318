"""Turn the ranks of all cells into Protection Success Rates."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.report.results import psr

    write_text(options.output, psr(options.study, options.matrix, options.top_k, options.missed, options.attacks))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument(
        "--matrix", type=json.loads, required=True, help="JSON: source, attack, eps, storage, target"
    )
    arguments.add_argument("--top-k", type=int, nargs="+", required=True)
    arguments.add_argument("--missed", choices=["protected", "drop", "whole_crop"], required=True)
    arguments.add_argument("--attacks", type=json.loads, required=True, help="JSON: the study's, by name")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
