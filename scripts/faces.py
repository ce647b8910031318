"""Put what every face came to in all cells into one long table."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import writing
    from cloakbench.report.faces import rows

    with writing(options.output) as path, path.open("w", encoding="utf-8", newline="") as file:
        for text in rows(options.study, options.config):
            file.write(text)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that the table depends on")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
