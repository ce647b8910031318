"""Turn the ranks of all cells into Protection Success Rates."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import read_baseline, read_cells
    from cloakbench.statistics.psr import protection

    ranks = read_cells(options.ranks, options.matrix)
    baseline = read_baseline(options.baseline, options.matrix["target"])
    write_text(options.output, protection(ranks, options.top_k, options.missed, baseline).to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--ranks", type=Path, required=True, help="folder of the ranks files")
    arguments.add_argument("--baseline", type=Path, required=True, help="folder of the clean faces' ranks")
    arguments.add_argument(
        "--matrix", type=json.loads, required=True, help="JSON: source, attack, eps, storage, target"
    )
    arguments.add_argument("--top-k", type=int, nargs="+", required=True)
    arguments.add_argument("--missed", choices=["protected", "drop", "whole_crop"], required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
