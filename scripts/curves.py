"""Draw PSR against the budget for one source: a panel an attack and k, a line a target, bands for intervals."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.measures.cells import read_psr
    from cloakbench.report.figures import curves, save

    figure = curves(read_psr(options.psr), options.source, options.storage, options.about)
    save(figure, options.output, options.output_pdf)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--storage", required=True)
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the title says of the study")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--output-pdf", type=Path, required=True)
    command.run(main, arguments)
