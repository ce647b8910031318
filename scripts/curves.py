"""Draw one source's PSR against the budget, a panel an attack and k, and its identification rate against k."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.measures.cells import read_cells, read_psr
    from cloakbench.report.figures import cmc, curves, save

    figure = curves(read_psr(options.psr), options.source, options.storage, options.about)
    save(figure, options.output, options.output_pdf)
    matrix = options.config["matrix"] | {"source": [options.source], "storage": [options.storage]}
    ranks = read_cells(options.study / "ranks", matrix)
    save(cmc(ranks, options.config["detection"]["missed"], options.about), *options.cmc)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that tables depend on")
    arguments.add_argument("--source", required=True)
    arguments.add_argument("--storage", required=True)
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the title says of the study")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--output-pdf", type=Path, required=True)
    arguments.add_argument("--cmc", type=Path, nargs="+", required=True, help="the other figure in several formats")
    command.run(main, arguments)
