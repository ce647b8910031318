"""Store a cell's faces as files, with a manifest of their hashes."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.writing import write_text, writing
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.publishing.store import store

    subjects = attacked(read_photos(options.subjects), options.part)
    with writing(options.output) as directory:
        manifest = store(open_faces(options.faces), subjects, options.storage, directory)
    write_text(options.output_manifest, manifest.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, required=True)
    arguments.add_argument("--storage", type=json.loads, required=True, help="JSON: format, quality, subsampling")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the files")
    arguments.add_argument("--output-manifest", type=Path, required=True)
    command.part_option(arguments)
    command.run(main, arguments)
