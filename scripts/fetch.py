"""Fetch a checkpoint once and check its hash."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.download import fetch

    fetch(options.url, options.output, options.digest)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--digest", required=True, help="sha256 or md5 of the file")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
