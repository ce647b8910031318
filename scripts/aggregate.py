"""Turn the ranks of all cells into Protection Success Rates, and compare them on the same faces."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.report.results import FROM_RANKS, judged

    of = judged(options.study, options.config)
    for path in options.outputs:
        write_text(path, FROM_RANKS[path.name](of).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that tables depend on")
    arguments.add_argument("--outputs", type=Path, nargs="+", required=True, help="tables, by their names")
    command.run(main, arguments)
