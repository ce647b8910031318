"""Find further photographs of the attacked people, which are neither attacked nor enrolled."""

import sys
from pathlib import Path

from cloakbench.jobs import command
from cloakbench.photos.datasets import LOADERS, SPLITS


def main(options):
    from cloakbench.jobs import devices
    from cloakbench.photos.faces import known_faces
    from cloakbench.photos.own import own_photos
    from cloakbench.photos.sample import read_photos, write_photos

    faces = known_faces(options.faces, devices.use(options.device, options.threads))
    dataset = LOADERS[options.loader](options.root, **({"split": options.split} if options.split else {}))
    tables = read_photos(options.subjects), read_photos(options.enrolment)
    write_photos(options.output, own_photos(dataset, *tables, options.count, options.seed, faces))
    print(faces.told(), file=sys.stderr)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--loader", choices=sorted(LOADERS), required=True)
    arguments.add_argument("--split", choices=sorted(SPLITS), help="of VGGFace2")
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--enrolment", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--count", type=int, required=True, help="further photos a subject")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--faces", type=Path, required=True, help="folder that keeps what was found in photos")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
