"""Render photographs of invented identities into <output>/<identity>/<photo>.jpg."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.synthetic.photos import render_photos

    render_photos(options.output, options.identities, options.photos, options.seed, options.threads)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--identities", type=int, required=True)
    arguments.add_argument("--photos", type=int, required=True, help="photos an identity")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--threads", type=int, default=1, help="identities rendered at once")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
