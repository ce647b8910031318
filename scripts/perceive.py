"""Compare every stored picture of a cell with the clean one by LPIPS."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces, read_table
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.lpips import perceive
    from cloakbench.measures.perceived import LPIPS

    devices.judge(options.threads)
    clean = read_table(options.clean_manifest), options.clean
    faces = open_faces(options.faces)
    rows = perceive(read_table(options.manifest), options.stored, *clean, faces, options.network)
    write_text(
        options.output, rows.assign(**options.cell)[["subject", "photo", *options.cell, *LPIPS]].to_csv(index=False)
    )


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--stored", type=Path, required=True, help="folder of the stored pictures")
    arguments.add_argument("--manifest", type=Path, required=True)
    arguments.add_argument("--clean", type=Path, required=True, help="folder of the clean ones, stored alike")
    arguments.add_argument("--clean-manifest", type=Path, required=True)
    arguments.add_argument("--faces", type=Path, required=True, help="clean faces on the canvas, which nothing stored")
    arguments.add_argument("--network", type=Path, required=True, help="what convert_lpips.py wrote")
    arguments.add_argument("--cell", type=json.loads, required=True, help="JSON: source, attack, eps, storage")
    arguments.add_argument("--output", type=Path, required=True)
    command.judging_options(arguments)
    command.run(main, arguments)
