"""Set a study that covers the paper's grid beside the published Table 1, and judge the paper's claims on both."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import read_psr
    from cloakbench.report.results import COMPARISON, judged

    psr, ranks = read_psr(options.psr), judged(options.study, options.config)
    for path in options.outputs:
        write_text(path, COMPARISON[path.name](psr, options.about, ranks))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that tables depend on")
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the page says of the study")
    arguments.add_argument("--outputs", type=Path, nargs="+", required=True, help="tables, by their names")
    command.run(main, arguments)
