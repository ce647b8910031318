"""Set protection against what it costs to the eye: two tables and a figure."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.report.figures import against_quality, save
    from cloakbench.report.results import FROM_QUALITY, costed

    of = costed(options.study, options.config)
    tables = {path: FROM_QUALITY[path.name](of) for path in options.outputs}
    for path, table in tables.items():
        write_text(path, table.to_csv(index=False))
    front = next(table for path, table in tables.items() if path.name == "front.csv")
    save(against_quality(front, options.about), *options.figures)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that tables depend on")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the title says of the study")
    arguments.add_argument("--outputs", type=Path, nargs="+", required=True, help="tables, by their names")
    arguments.add_argument("--figures", type=Path, nargs="+", required=True, help="the same figure in several formats")
    command.run(main, arguments)
