"""Check a checkpoint's hash and shapes and write it in the form and naming that every job reads."""

import json
from pathlib import Path

from cloakbench import command


def main(options):
    from cloakbench.convert import convert

    convert(options.checkpoint, options.model, options.sha256, options.output)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head")
    arguments.add_argument("--sha256", required=True, help="what the file hashes to, or any")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
