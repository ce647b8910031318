"""Draw subjects, attacked and enrolled photos from a data set by a seed, and find the face in each."""

from pathlib import Path

from cloakbench import command


def main(options):
    from cloakbench import devices
    from cloakbench.datasets import LOADERS
    from cloakbench.detectors import Detector
    from cloakbench.sample import Wanted, draw, write_photos

    dataset = LOADERS[options.loader](options.root, **({"split": options.split} if options.split else {}))
    detector = Detector(devices.use(options.device, options.threads))
    wanted = Wanted(options.subjects, options.photos, options.enrol, options.enrol_min, options.min_classes)
    subjects, enrolment = draw(dataset, wanted, options.seed, detector)
    write_photos(options.output_subjects, subjects)
    write_photos(options.output_enrolment, enrolment)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--loader", required=True)
    arguments.add_argument("--split", choices=["train", "test"], help="of VGGFace2")
    arguments.add_argument("--subjects", type=int, required=True, help="N")
    arguments.add_argument("--photos", type=int, required=True, help="attacked photos a subject")
    arguments.add_argument("--enrol", type=int, required=True, help="enrolled photos an identity")
    arguments.add_argument("--enrol-min", type=int, required=True, help="with as many one still stands in the gallery")
    arguments.add_argument("--min-classes", type=int, required=True, help="the largest k of top-k")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--output-subjects", type=Path, required=True)
    arguments.add_argument("--output-enrolment", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
