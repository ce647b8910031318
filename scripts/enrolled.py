"""List the photographs that the attacked people have in the gallery."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.photos.sample import enrolled, read_photos, write_photos

    write_photos(options.output, enrolled(read_photos(options.subjects), read_photos(options.enrolment)))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--enrolment", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
