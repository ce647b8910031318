"""Find further photographs of the attacked people, which are neither attacked nor enrolled."""

import sys
from pathlib import Path

from cloakbench.jobs import command
from cloakbench.photos.wanted import dataset_of, dataset_options


def main(options):
    from cloakbench.jobs import devices
    from cloakbench.photos.faces import known_faces
    from cloakbench.photos.own import own_photos
    from cloakbench.photos.sample import read_photos, write_photos

    faces = known_faces(options.faces, devices.use(options.device, options.threads))
    tables = read_photos(options.subjects), read_photos(options.enrolment)
    write_photos(options.output, own_photos(dataset_of(options), *tables, options.count, options.seed, faces))
    print(faces.told(), file=sys.stderr)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    dataset_options(arguments)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--enrolment", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--count", type=int, required=True, help="further photos a subject")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
