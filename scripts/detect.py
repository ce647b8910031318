"""Find the faces of one share of the photos that a study is going to draw from, and keep them for every draw."""

import sys
from pathlib import Path

from cloakbench.jobs import command
from cloakbench.photos.wanted import draw_options, wanted


def main(options):
    from cloakbench.jobs import devices
    from cloakbench.photos.draw import detect
    from cloakbench.photos.faces import known_faces
    from cloakbench.photos.sample import write_photos

    faces = known_faces(options.faces, devices.use(options.device, options.threads))
    share, shares = options.share
    write_photos(options.output, detect(*wanted(options), faces, share, shares))
    print(faces.told(), file=sys.stderr)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    draw_options(arguments)
    arguments.add_argument(
        "--share",
        type=lambda text: tuple(map(int, text.split("/"))),
        default=(0, 1),
        metavar="I/N",
        help="every N-th identity from the I-th on, counted from 0",
    )
    arguments.add_argument("--output", type=Path, required=True, help="table of the photos that were looked at")
    command.compute_options(arguments)
    command.run(main, arguments)
