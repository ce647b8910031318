"""Cut the faces of sampled photos for the recognisers of one crop kind."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import writing_faces
    from cloakbench.photos.crops import shape
    from cloakbench.photos.sample import attacked, cut_faces, read_photos

    photos = read_photos(options.photos)
    photos = attacked(photos, options.part) if "subject" in photos else photos
    with writing_faces(options.output, len(photos), shape(options.crop)) as faces:
        cut_faces(photos, options.root, options.crop, faces)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--photos", type=Path, required=True, help="subjects.csv or enrolment.csv")
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--crop", type=json.loads, required=True, help="JSON: size, margin, short_side, align")
    arguments.add_argument("--output", type=Path, required=True)
    command.part_option(arguments)
    command.run(main, arguments)
