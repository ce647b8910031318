"""Lay the ranks files of one cell's parts one below the other."""

from pathlib import Path

from cloakbench import command


def main(options):
    from cloakbench.cells import gather
    from cloakbench.files import write_text

    write_text(options.output, gather(options.parts).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--parts", type=Path, nargs="+", required=True, help="in the order of their faces")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
