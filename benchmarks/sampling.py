"""How long drawing subjects takes from a data set of the size of VGGFace2."""

from __future__ import annotations

import io
import tempfile
from argparse import Namespace
from pathlib import Path

import pandas as pd

from benchmarks.jobs import script
from benchmarks.memory import watch
from cloakbench.files.writing import write_text
from cloakbench.jobs import command as command_line
from cloakbench.synthetic.render import render

PEOPLE = 20  # rendered; a folder's one photo is a copy with a comment of its own behind the picture


def measure(folders: int, photos: int, subjects: int) -> pd.DataFrame:
    """One row: folders, files, subjects, seconds of the draw, detection and, start of the interpreter included.

    Every folder holds one photo with a face among `photos` - 1 empty files, which the draw has to pass over: photos
    are shuffled, so a subject costs a look at half the files of a folder.
    """
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "train"
        make_tree(root, folders, photos)
        options = f"--loader vggface2 --split train --subjects {subjects} --photos 1 --enrol 0 --enrol-min 0 --seed 0"
        outputs = "--output-subjects subjects.csv --output-enrolment enrolment.csv --passed-over passed_over.csv"
        options += " --min-classes 1 --faces faces --device cpu"
        job = [str(script("draw")), "--root", directory, *options.split(), *outputs.split()]
        seconds, *_ = watch(job, root.parent)
        drawn = pd.read_csv(root.parent / "subjects.csv")["subject"].notna().sum()
    return pd.DataFrame([{"folders": folders, "files": folders * photos, "subjects": drawn, "seconds": seconds}])


def make_tree(root: Path, folders: int, photos: int) -> None:
    """root/n000000/0000_01.jpg: one rendered photo and empty files."""
    pictures = [_jpeg(person) for person in range(PEOPLE)]
    for number in range(folders):
        folder = root / f"n{number:06d}"
        folder.mkdir(parents=True)
        (folder / "0000_01.jpg").write_bytes(pictures[number % PEOPLE] + f"{number}".encode())
        for photo in range(1, photos):
            (folder / f"{photo:04d}_01.jpg").touch()


def _jpeg(person: int) -> bytes:
    file = io.BytesIO()
    render(person, 0).save(file, "JPEG", quality=75)
    return file.getvalue()


def main(options: Namespace) -> None:
    write_text(options.output, measure(options.folders, options.photos, options.subjects).to_csv(index=False))


if __name__ == "__main__":
    arguments = command_line.parser(__doc__)
    arguments.add_argument("--folders", type=int, required=True)
    arguments.add_argument("--photos", type=int, required=True, help="files a folder")
    arguments.add_argument("--subjects", type=int, required=True, help="N")
    arguments.add_argument("--output", type=Path, required=True)
    command_line.run(main, arguments)
