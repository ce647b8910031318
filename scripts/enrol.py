"""Make the gallery of a recogniser without a class head: a mean template an identity, of clean photographs, or with the
attacked people's cloaked ones in the place of theirs."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import open_faces, read_table
    from cloakbench.files.tensors import save_tensors
    from cloakbench.jobs import devices
    from cloakbench.photos.sample import read_photos
    from cloakbench.publishing.cloaked import CloakedFaces
    from cloakbench.recognisers.enrol import templates
    from cloakbench.recognisers.recogniser import load_recogniser

    device = devices.use(options.device, options.threads)
    recogniser = load_recogniser(options.model, options.weights, None, device)
    photos, faces = read_photos(options.photos), open_faces(options.faces)
    identities = photos["identity"].tolist()
    if options.cloaked:
        parts = zip(options.stored, map(read_table, options.redetected), strict=True)
        faces = CloakedFaces(faces, photos, read_photos(options.cloaked), parts, options.crop)
        identities = [identities[row] for row in faces.rows]
    means, classes = templates(recogniser, faces, identities, options.batch, device)
    save_tensors(options.output, {"templates": means}, classes=classes)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--photos", type=Path, required=True, help="enrolment.csv")
    arguments.add_argument("--faces", type=Path, required=True, help="the clean faces in it")
    arguments.add_argument("--cloaked", type=Path, help="enrolled.csv: which of them are cloaked")
    arguments.add_argument("--stored", type=Path, nargs="*", default=[], help="folders of the cloaked pictures")
    arguments.add_argument("--redetected", type=Path, nargs="*", default=[], help="what was found in each folder")
    arguments.add_argument("--crop", type=json.loads, help="JSON: size, margin, short_side, align; of the cloaked")
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--model", type=json.loads, required=True, help="JSON: arch, head, mean, std")
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
