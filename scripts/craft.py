"""Craft the faces of one cell, or walk one stretch of the path that all its budgets share."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.attacks import craft, iterative
    from cloakbench.files import seals
    from cloakbench.files.reading import open_faces
    from cloakbench.files.writing import writing_faces
    from cloakbench.jobs import devices
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads, options.precision)
    recogniser = load_recogniser(options.model, options.weights, options.gallery, device, options.precision)
    seals.note(gradients=craft.gradients_in(recogniser))
    labels = recogniser.labels(attacked(read_photos(options.subjects), options.part)["identity"])
    faces, start = open_faces(options.faces), open_faces(options.start)
    attack = iterative.attack(**options.attack)
    if options.walk_from is None:
        steps = craft.own_steps(attack, options.eps)
    else:
        steps = craft.shared_steps(attack, options.eps, options.walk_from)
    with writing_faces(options.output, len(faces), faces.shape[1:3]) as crafted:
        craft.walk(recogniser, attack, faces, start, labels, options.eps, steps, crafted, options.batch, device)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, required=True, help="clean faces")
    arguments.add_argument("--start", type=Path, required=True, help="faces on the shared path to go on from")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--attack", type=json.loads, required=True, help="JSON: family, goal, step_size")
    arguments.add_argument("--eps", type=int, required=True, help="budget in grey levels")
    arguments.add_argument("--walk-from", type=int, metavar="EPS", help="stay on the shared path; start is at EPS")
    arguments.add_argument("--output", type=Path, required=True)
    command.part_option(arguments)
    command.precision_option(arguments)
    command.compute_options(arguments)
    command.run(main, arguments)
