"""Tell whether cloaks protect all faces alike: a row a cell and group of faces."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.report.groups import groups

    write_text(options.output, groups(options.study, options.config))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that the table depends on")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
