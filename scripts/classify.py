"""Rank the true identities of one cell by what a target has put out for its re-detected faces."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    import pandas as pd

    from cloakbench.files.reading import read_table
    from cloakbench.files.records import open_records
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.measures.cells import columns
    from cloakbench.measures.classify import classify, field
    from cloakbench.photos.sample import identities_of, read_photos
    from cloakbench.recognisers.heads import labels, load_head

    devices.judge(options.threads)
    subjects, parts = read_photos(options.subjects), []
    for path, table in zip(options.outputs, options.redetected, strict=True):
        outputs, redetected = open_records(path), read_table(table)
        head, classes = load_head(options.model, field(outputs), options.weights, options.gallery)
        true = labels(identities_of(redetected, subjects), classes)
        parts.append(classify(redetected, outputs, head, len(classes), true, options.missed, options.batch))
    rows = pd.concat(parts, ignore_index=True).assign(**options.cell)
    write_text(options.output, rows[columns(options.cell)].to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--subjects", type=Path, required=True, help="subjects.csv")
    arguments.add_argument("--redetected", type=Path, nargs="+", required=True, help="part by part")
    arguments.add_argument("--outputs", type=Path, nargs="+", required=True, help="the target's, part by part")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--gallery", type=Path)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head")
    arguments.add_argument("--missed", choices=["protected", "drop", "whole_crop"], required=True)
    arguments.add_argument("--cell", type=json.loads, required=True, help="JSON: source, attack, eps, storage, target")
    arguments.add_argument("--output", type=Path, required=True)
    command.judging_options(arguments)
    command.run(main, arguments)
