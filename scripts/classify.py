"""Show one cell's re-detected faces to one target and rank the true identities."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import read_table
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.cells import columns
    from cloakbench.measures.classify import classify
    from cloakbench.photos.sample import identities_of, read_photos
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, options.gallery, device)
    redetected = read_table(options.redetected)
    labels = recogniser.labels(identities_of(redetected, read_photos(options.subjects)))
    rows = classify(
        redetected,
        options.stored,
        recogniser,
        labels,
        options.crop,
        options.missed,
        options.batch,
        device,
    )
    write_text(options.output, rows.assign(**options.cell)[columns(options.cell)].to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--stored", type=Path, required=True, help="folder of the stored pictures")
    arguments.add_argument("--redetected", type=Path, required=True)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--crop", type=json.loads, required=True, help="JSON: size, margin, short_side, align")
    arguments.add_argument("--missed", choices=["protected", "drop", "whole_crop"], required=True)
    arguments.add_argument("--cell", type=json.loads, required=True, help="JSON: source, attack, eps, storage, target")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
