"""Lay PSR out as the paper's Table 1: CSV, Markdown and LaTeX."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import read_psr
    from cloakbench.report.results import TABLE1

    psr = read_psr(options.psr)
    for path in options.outputs:
        write_text(path, TABLE1[path.name](psr, options.about))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the caption says of the study")
    arguments.add_argument("--outputs", type=Path, nargs="+", required=True, help="tables, by their names")
    command.run(main, arguments)
