"""Show a cell's re-detected faces to one target, and keep what its network puts out."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import read_table
    from cloakbench.files.writing import writing
    from cloakbench.jobs import devices
    from cloakbench.measures.look import look
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, None, device)
    redetected = read_table(options.redetected)
    with writing(options.output) as path:
        look(redetected, options.stored, recogniser, options.crop, options.missed, options.batch, device, path)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--stored", type=Path, required=True, help="folder of the stored pictures")
    arguments.add_argument("--redetected", type=Path, required=True)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--crop", type=json.loads, required=True, help="JSON: size, margin, short_side, align")
    arguments.add_argument("--missed", choices=["protected", "drop", "whole_crop"], required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
