"""Measure a recogniser's clean top-1 on the sampled faces, stop the study if it is too low, and warn if the recogniser
tells people better apart with red and blue exchanged."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.attacks import cost
    from cloakbench.files.reading import open_faces
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.gate import check, doubt, measured
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.recogniser import load_recogniser
    from cloakbench.statistics.paired import can_be_told
    from cloakbench.study.grid import links

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, options.gallery, device)
    people = attacked(read_photos(options.subjects))
    labels = recogniser.labels(people["identity"])
    parts = [open_faces(path) for path in options.faces]
    enrolled = options.enrolled and (open_faces(options.enrolled), read_photos(options.enrolment)["identity"])
    found = measured(recogniser, parts, labels, enrolled, options.batch, device)
    print(f"clean top-1 of {options.name} on {len(labels)} faces: {found['clean_top1']:.1f} %")
    check(options.name, found["clean_top1"], found["clean_top1_bgr"], options.minimum)
    if message := doubt(options.name, found["rgb_over_bgr"]):
        command.warn(message)
    if options.attacks:
        device = devices.use(options.device, options.threads, options.precision)
        source = load_recogniser(options.model, options.weights, options.gallery, device, options.precision)
        some, way = parts[0][: options.batch], links(options.eps)
        crafting = cost.Crafting(options.attacks, options.eps, way, len(labels), options.parts)
        print(f"crafting on {options.name}: {cost.of_crafting(crafting, source, some, device, recogniser)}")
        for reference, tests in options.comparisons.items():
            print(can_be_told(people["subject"].nunique(), len(people), tests, reference))
    if options.cells_shown:
        told = cost.of_looking(recogniser, options.cells_shown, len(labels), options.parts, parts[0][:1], device)
        print(f"shown to {options.name}: {told}")
    facts = {"model": options.name, "faces": len(labels), **found}
    write_text(options.output, json.dumps(facts) + "\n")


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--name", required=True, help="of the recogniser")
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, nargs="+", required=True, help="clean faces, part by part")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--enrolment", type=Path, help="enrolment.csv, with --gallery")
    arguments.add_argument("--enrolled", type=Path, help="the enrolled faces, with --gallery")
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--minimum", type=float, required=True, help="percent")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--attacks", type=json.loads, help="JSON: those to craft on it, to estimate the cost")
    arguments.add_argument("--eps", type=int, nargs="*", default=[], help="their budgets")
    arguments.add_argument("--cells-shown", type=int, default=0, help="whose faces it will be shown as a target")
    compared = "JSON: with which attack the study compares others, and how often"
    arguments.add_argument("--comparisons", type=json.loads, default={}, help=compared)
    arguments.add_argument("--parts", type=int, default=1, help="jobs that a cell is spread over")
    command.precision_option(arguments)
    command.compute_options(arguments)
    command.run(main, arguments)
