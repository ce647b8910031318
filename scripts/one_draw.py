"""Take the subjects of one of several draws, which have nobody in common."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.photos.sample import one_draw, read_photos, write_photos

    write_photos(options.output, one_draw(read_photos(options.drawn), options.draw, options.subjects))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--drawn", type=Path, required=True, help="subjects.csv of all draws")
    arguments.add_argument("--draw", type=int, required=True, help="which one, from 1 on")
    arguments.add_argument("--subjects", type=int, required=True, help="N, of each draw")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
