"""Craft the faces of one cell, or walk one stretch of the path that all budgets of an attack share."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.attacks import cost, craft, draws
    from cloakbench.files import seals
    from cloakbench.files.reading import open_faces
    from cloakbench.jobs import devices
    from cloakbench.photos import crops
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.enrol import templates_of
    from cloakbench.recognisers.recogniser import load_recogniser
    from cloakbench.recognisers.views import view

    device = devices.use(options.device, options.threads, options.precision)
    subjects, faces = attacked(read_photos(options.subjects), options.part), open_faces(options.faces)
    canvas, galleries, others, members = faces.shape[1:3], iter(options.galleries), iter(options.others), []
    for facts, weights in zip(options.sources, options.weights, strict=True):
        gallery = next(galleries) if facts["head"] == "gallery" else None
        recogniser = load_recogniser(facts, weights, gallery, device, options.precision)
        sees = view(canvas, crops.shape(facts["crop"]) if "crop" in facts else canvas)
        own = templates_of(subjects["identity"], next(others)) if options.others else None
        members.append(craft.Member(recogniser, recogniser.labels(subjects["identity"]), sees, own))
    seals.note(gradients=cost.gradients_in(member.model for member in members))
    numbers = draws.number(*(subjects[key].to_numpy("int64") for key in ("subject", "photo")))
    whole = not options.unrounded
    cell = craft.Cell(members, faces, numbers, options.eps, options.seed, options.batch, device, whole)
    start = next(iter(options.start), None)
    if options.walk_from is None:
        craft.craft(options.attack, cell, start, options.output)
    else:
        craft.walk(options.attack, cell, start, options.walk_from, options.output)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, required=True, help="clean faces on the canvas")
    arguments.add_argument("--start", type=Path, nargs="*", default=[], help="state to go on from, if any")
    arguments.add_argument("--weights", type=Path, nargs="+", required=True, help="of each source")
    arguments.add_argument("--galleries", type=Path, nargs="*", default=[], help="of those that have one")
    arguments.add_argument(
        "--others", type=Path, nargs="*", default=[], help="templates of other photographs, if asked"
    )
    arguments.add_argument("--sources", type=json.loads, required=True, help="JSON list: arch, head, mean, std, crop")
    arguments.add_argument("--attack", type=json.loads, required=True, help="JSON: family and its settings")
    arguments.add_argument("--eps", type=int, required=True, help="budget")
    arguments.add_argument("--seed", type=int, required=True, help="of random draws")
    arguments.add_argument("--walk-from", type=int, metavar="EPS", help="walk the path on from EPS to --eps")
    arguments.add_argument("--unrounded", action="store_true", help="as float32, before levels are made whole")
    arguments.add_argument("--output", type=Path, required=True)
    command.part_option(arguments)
    command.precision_option(arguments)
    command.compute_options(arguments)
    command.run(main, arguments)
