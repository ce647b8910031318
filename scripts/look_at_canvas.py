"""Show crafted faces, or stored pictures as a whole, to a recogniser that they were crafted on, with no detector
between, and keep what its network puts out."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    import numpy as np

    from cloakbench.files.reading import open_faces, read_table
    from cloakbench.files.writing import writing
    from cloakbench.jobs import devices
    from cloakbench.measures.rungs import Stored, look_at_canvas
    from cloakbench.photos.crops import shape
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, None, device)
    manifests = map(read_table, options.manifests)
    pictures = [Stored(folder, manifest) for folder, manifest in zip(options.stored, manifests, strict=True)]
    parts = [open_faces(part, np.uint8, np.float32) for part in options.faces] or pictures
    with writing(options.output) as path:
        look_at_canvas(parts, recogniser, shape(options.crop), options.batch, device, path)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--faces", type=Path, nargs="*", required=True, help="crafted faces, part by part, or")
    arguments.add_argument("--stored", type=Path, nargs="*", required=True, help="folders of stored pictures, and")
    arguments.add_argument("--manifests", type=Path, nargs="*", required=True, help="theirs")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--crop", type=json.loads, required=True, help="JSON: size, align")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
