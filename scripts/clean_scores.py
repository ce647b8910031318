"""Count how like clean faces are to their own template and to everybody else's, for one target with a gallery."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.records import open_records
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.classify import field
    from cloakbench.measures.clean_scores import clean_scores
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.heads import labels, load_head

    devices.judge(options.threads)
    faces, outputs = attacked(read_photos(options.subjects)), open_records(options.outputs)
    head, people = load_head(options.model, field(outputs), options.weights, options.gallery)
    parts = [len(open_faces(path)) for path in options.faces]
    table = clean_scores(outputs[field(outputs)], parts, head, labels(faces["identity"], people), options.batch)
    write_text(options.output, table.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, nargs="+", required=True, help="the clean faces, part by part")
    arguments.add_argument("--outputs", type=Path, required=True, help="the target's for them")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head")
    arguments.add_argument("--output", type=Path, required=True)
    command.judging_options(arguments)
    command.run(main, arguments)
