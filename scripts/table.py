"""Lay PSR out as the paper's Table 1: CSV, Markdown and LaTeX."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import read_psr
    from cloakbench.report import tables

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
