"""Measure what tells clean faces apart without a network: size, light, sharpness, pose, and each target's margin."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.properties import properties, with_margins
    from cloakbench.photos.sample import attacked, read_photos

    table = properties(attacked(read_photos(options.subjects)), options.root)
    write_text(options.output, with_margins(table, options.margins).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--margins", type=Path, nargs="+", required=True, help="a file a target")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
