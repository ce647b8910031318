"""Draw one subject's faces by source, attack and budget."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.report.figures import examples, save

    rows = {label: dict(columns) for label, columns in options.rows}
    save(examples(rows, options.about), options.output)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument(
        "--rows",
        type=json.loads,
        required=True,
        help="JSON: rows, a label and columns, each a label and a file",
    )
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the title says of the study")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
