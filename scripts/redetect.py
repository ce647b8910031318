"""Find the face again in every stored picture of a cell."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.reading import read_table
    from cloakbench.files.writing import write_text
    from cloakbench.jobs import devices
    from cloakbench.photos.detectors import Detector
    from cloakbench.publishing.redetect import redetect

    detector = Detector(devices.use(options.device, options.threads))
    rows = redetect(read_table(options.manifest), options.stored, detector, options.batch)
    write_text(options.output, rows.to_csv(index=False))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--stored", type=Path, required=True, help="folder of the stored pictures")
    arguments.add_argument("--manifest", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.compute_options(arguments)
    command.run(main, arguments)
