"""Sum up what cloaks cost to the eye: a row a cell and measure."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import read_table
    from cloakbench.files.writing import write_text
    from cloakbench.report.empty import why_empty
    from cloakbench.report.results import quality

    write_text(options.output, quality(options.study, options.config))
    for line in why_empty(read_table(options.output, dtype={"source": str}, keep_default_na=False), ()):
        print(f"{options.output}: {line}", flush=True)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--config", type=json.loads, required=True, help="JSON: the parts that the table depends on")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
