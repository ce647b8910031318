"""Measure the peak memory of the jobs of every stage at several sizes of the study."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks.memory import measure
    from cloakbench.files.writing import write_text

    write_text(options.output, measure(options.faces).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--faces", type=int, nargs="+", required=True, help="N, several")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
