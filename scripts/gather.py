"""Lay the ranks files of one cell's parts one below the other."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import gather

    write_text(options.output, gather(options.parts).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--parts", type=Path, nargs="+", required=True, help="in the order of their faces")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
