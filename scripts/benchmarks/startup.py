"""Measure the start of a job, plainly and as a fork of the warm parent."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks.startup import measure
    from cloakbench.files.writing import write_text

    write_text(options.output, measure(options.repetitions).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--repetitions", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
