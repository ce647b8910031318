"""Check the hashes and shapes of AlexNet and of LPIPS' weights of its channels, and write what is read of them."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.measures.lpips import convert_lpips

    convert_lpips(options.alexnet, options.heads, options.digests, options.output)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--alexnet", type=Path, required=True, help="torchvision's state dict")
    arguments.add_argument("--heads", type=Path, required=True, help="weights/v0.1/alex.pth of the package lpips")
    arguments.add_argument("--digests", type=json.loads, required=True, help="JSON: sha256 of alexnet and heads")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
