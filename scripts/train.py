"""Train a recogniser on the photos that the study enrols."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from functools import partial

    import numpy as np

    from cloakbench.files.reading import open_faces
    from cloakbench.files.tensors import save_tensors
    from cloakbench.jobs import devices
    from cloakbench.photos.sample import read_photos
    from cloakbench.recognisers.architectures import build
    from cloakbench.synthetic.training import seeded, train

    classes, labels = np.unique(read_photos(options.photos)["identity"], return_inverse=True)
    model, seed, device = options.model, options.seed, devices.use(options.device, options.threads)
    network = seeded(partial(build, model["arch"]), len(classes), seed)
    faces = open_faces(options.faces)  # read batch by batch: memory does not grow with the gallery
    train(network, faces, labels, model["mean"], model["std"], seed, device, options.epochs, progress="train")
    save_tensors(options.output, network.state_dict(), classes=list(classes))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--photos", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--faces", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, mean, std")
    arguments.add_argument("--epochs", type=int, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
