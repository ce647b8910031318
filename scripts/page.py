"""Write a finished study's two pages: with faces, and without faces and names."""

from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.page.build import report, summary

    write_text(options.summary, summary(options.study))
    write_text(options.report, report(options.study))


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--study", type=Path, required=True, help="the study's results folder")
    arguments.add_argument("--report", type=Path, required=True, help="the page with faces")
    arguments.add_argument("--summary", type=Path, required=True, help="the one without")
    command.run(main, arguments)
