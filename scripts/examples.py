"""Draw one subject's faces by source, attack and budget."""

import json
from pathlib import Path

from cloakbench import command


def main(options):
    from cloakbench.plots import examples, save

    save(examples(options.study, options.matrix, options.crops, options.about), options.output)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--matrix", type=json.loads, required=True, help="JSON: source, attack, eps")
    arguments.add_argument("--crops", type=json.loads, required=True, help="JSON: source to crop kind")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the title says of the study")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
