"""Make the gallery of a recogniser without a class head: a mean template an identity."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.tensors import save_tensors
    from cloakbench.jobs import devices
    from cloakbench.photos.sample import read_photos
    from cloakbench.recognisers.enrol import templates
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, None, device)
    identities = read_photos(options.photos)["identity"]
    means, classes = templates(recogniser, open_faces(options.faces), identities, options.batch, device)
    save_tensors(options.output, {"templates": means}, classes=classes)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--photos", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--faces", type=Path, required=True)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
