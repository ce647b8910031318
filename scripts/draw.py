"""Draw subjects, attacked and enrolled photos from a data set by a seed, each with the face in it."""

import sys
from pathlib import Path

from cloakbench.errors import InputError
from cloakbench.jobs import command
from cloakbench.photos.wanted import draw_options, wanted


def main(options):
    from cloakbench.files import seals
    from cloakbench.jobs import devices
    from cloakbench.photos.draw import TooFew, draw
    from cloakbench.photos.faces import known_faces
    from cloakbench.photos.passed_over import write_passed_over
    from cloakbench.photos.sample import write_photos

    faces = known_faces(options.faces, devices.use(options.device, options.threads))
    options.passed_over.unlink(missing_ok=True)
    try:
        subjects, enrolment = draw(*wanted(options), options.min_classes, faces)
    except TooFew as error:
        write_passed_over(options.passed_over, error.photos)
        raise InputError(f"{error}; each one in {options.passed_over}") from None
    seals.note(root=str(options.root))
    write_photos(options.output_subjects, subjects)
    write_photos(options.output_enrolment, enrolment)
    print(faces.told(), file=sys.stderr)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    draw_options(arguments)
    arguments.add_argument("--min-classes", type=int, required=True, help="the largest k of top-k")
    arguments.add_argument("--passed-over", type=Path, required=True, help="table for a draw that finds too few photos")
    arguments.add_argument("--output-subjects", type=Path, required=True)
    arguments.add_argument("--output-enrolment", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
