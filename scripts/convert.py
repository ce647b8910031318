"""Check a checkpoint's hash and shapes and write it in the form and naming that every job reads."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.photos.crops import shape
    from cloakbench.photos.datasets import LOADERS
    from cloakbench.recognisers.convert import convert
    from cloakbench.study.classes import read_classes

    classes = ()
    if options.classes:
        classes = read_classes(options.classes)
    elif options.loader:
        classes = LOADERS[options.loader](options.root).classes
    trial = shape(options.crop) if options.crop else None
    convert(options.checkpoint, options.model, options.digest, classes, options.output, trial)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument(
        "--model", type=json.loads, required=True, help="JSON: arch, head, member; mean, std, source"
    )
    arguments.add_argument("--digest", required=True, help="the file's sha256 or md5, or any")
    arguments.add_argument("--classes", type=Path, help="list of the head's identities in the order of its units")
    arguments.add_argument("--loader", help="of the data set that the head was trained on, instead of a list")
    arguments.add_argument("--root", type=Path, help="of the study's photographs, where the loader looks")
    arguments.add_argument("--crop", type=json.loads, help="JSON: of the faces that the network is tried on")
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
