"""Write down what a study's numbers were made from."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.report.provenance import provenance

    facts = provenance(options.study, options.tables, options.config, options.about, options.code)
    for line in facts["mixed"]:
        print(f"{options.study}: {line}; each may round otherwise, to have one throughout delete it and run again")
    write_text(options.output, json.dumps(facts, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--tables", type=Path, nargs="+", required=True, help="those that the study makes")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the tables say of the study")
    arguments.add_argument("--code", type=json.loads, required=True, help="JSON: hash of each script's code")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
