"""Rank the true identities of the clean faces as they are cut from the photographs: neither attacked nor stored."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.gate import clean_answers
    from cloakbench.photos.sample import attacked, read_photos
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, options.gallery, device)
    faces = attacked(read_photos(options.subjects))
    parts, labels = [open_faces(path) for path in options.faces], recogniser.labels(faces["identity"])
    ranks, _ = clean_answers(recogniser, parts, labels, options.batch, device)
    rows = faces[["subject", "photo"]].assign(target=options.name, rank=ranks)
    write_text(options.output, rows.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--name", required=True, help="of the target")
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--faces", type=Path, nargs="+", required=True, help="clean faces, part by part")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
