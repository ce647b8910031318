"""Measure a study by Snakemake against the same commands in one process."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks.overhead import measure
    from cloakbench.files.writing import write_text

    write_text(
        options.output, measure(options.snakefile, options.config, options.changes, options.cores).to_csv(index=False)
    )


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--snakefile", type=Path, required=True)
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: of a study")
    arguments.add_argument(
        "--changes", type=json.loads, required=True, help="JSON: what is otherwise in the one that is run"
    )
    arguments.add_argument("--cores", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
