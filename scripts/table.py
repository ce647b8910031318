"""Lay PSR out as the paper's Table 1: CSV, Markdown and LaTeX."""

import json
from pathlib import Path

from cloakbench import command


def main(options):
    from cloakbench import tables
    from cloakbench.cells import read_psr
    from cloakbench.files import write_text

    psr = read_psr(options.psr)
    table = tables.table1(psr)
    write_text(options.output_csv, tables.to_csv(table))
    write_text(options.output_md, tables.to_markdown(table, tables.clean_faces(psr), options.about))
    write_text(options.output_tex, tables.to_latex(table, options.about))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the caption says of the study")
    arguments.add_argument("--output-csv", type=Path, required=True)
    arguments.add_argument("--output-md", type=Path, required=True)
    arguments.add_argument("--output-tex", type=Path, required=True)
    command.run(main, arguments)
