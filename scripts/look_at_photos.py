"""Show the clean faces, cut from photographs and never stored, to one target, and keep what its network puts out."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.writing import writing
    from cloakbench.jobs import devices
    from cloakbench.measures.look import look_at_photos
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, None, device)
    with writing(options.output) as path:
        look_at_photos([open_faces(part) for part in options.faces], recogniser, options.batch, device, path)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--faces", type=Path, nargs="+", required=True, help="clean faces, part by part")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
