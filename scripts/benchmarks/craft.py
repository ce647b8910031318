"""Measure how long crafting takes on one network, beside other libraries and a bare gradient loop."""

import json
import tempfile
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.benchmarks.crafting import measure
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices

    devices.use("cpu", options.threads)
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(options.model, options.repetitions, options.batch, Path(directory))
    write_text(options.output, rows.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument(
        "--model", type=json.loads, required=True, help="JSON: arch, size, faces, mean, std, weights"
    )
    arguments.add_argument("--repetitions", type=int, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--threads", type=int, required=True, help="of torch, for every crafter")
    arguments.add_argument("--batch", type=int, required=True, help="faces computed at once")
    command.run(main, arguments)
