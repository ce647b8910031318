"""Measure how long it takes to draw subjects from a large tree of folders."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks.sampling import measure
    from cloakbench.files.writing import write_text

    write_text(options.output, measure(options.folders, options.photos, options.subjects).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--folders", type=int, required=True)
    arguments.add_argument("--photos", type=int, required=True, help="files a folder")
    arguments.add_argument("--subjects", type=int, required=True, help="N")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
