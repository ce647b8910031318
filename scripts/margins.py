"""Measure how much better a target knows each clean face's own person than anybody else."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.records import open_records
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.classify import field
    from cloakbench.measures.margins import margins
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.heads import labels, load_head

    devices.judge(options.threads)
    faces, outputs = attacked(read_photos(options.subjects)), open_records(options.outputs)
    head, classes = load_head(options.model, field(outputs), options.weights, options.gallery)
    parts = [len(open_faces(path)) for path in options.faces]
    found = margins(outputs, parts, head, labels(faces["identity"], classes), options.batch)
    rows = faces[["subject", "photo"]].assign(target=options.name, margin=found)
    write_text(options.output, rows.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--name", required=True, help="of the target")
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, nargs="+", required=True, help="the clean faces, part by part")
    arguments.add_argument("--outputs", type=Path, required=True, help="the target's for them")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head")
    arguments.add_argument("--output", type=Path, required=True)
    command.judging_options(arguments)
    command.run(main, arguments)
