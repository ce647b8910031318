"""Write the tables of the benchmark, and the page that explains them."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks import page
    from cloakbench.files.writing import write_text

    tables = page.tables(options.measurements, options.about["networks"])
    for name, table in tables.items():
        write_text(options.measurements / f"{name}.csv", table.to_csv(index=False))
        write_text(options.measurements / f"{name}.md", page.markdown(table) + "\n")
    write_text(options.output, page.page(tables, options.about))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--measurements", type=Path, required=True, help="folder of the measured CSV files")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what was measured")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
