"""Find the attacked faces in a user's file of attributes."""

import sys
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.photos.attributes import of_faces
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.study.attributes import read_attributes

    table = of_faces(read_attributes(options.given), attacked(read_photos(options.subjects)))
    known = (table.drop(columns=["subject", "photo"]) != "").any(axis=1)
    print(f"attributes: something is known of {known.sum()} of {len(table)} faces", file=sys.stderr)
    write_text(options.output, table.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--given", type=Path, required=True, help="identity or file, and columns of categories")
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
