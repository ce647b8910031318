"""Set a study that covers the paper's grid beside the published Table 1, and judge the paper's claims on both."""

import json
from pathlib import Path

from cloakbench.jobs import command


def main(options):
    from cloakbench.files.writing import write_text
    from cloakbench.measures.cells import read_psr
    from cloakbench.paper.claims import CLAIMS, evaluate
    from cloakbench.paper.comparison import compare, read_published
    from cloakbench.paper.page import comparison_markdown
    from cloakbench.report import tables

    psr, published = read_psr(options.psr), read_published(options.published)
    comparison = compare(psr, published)
    claims_published, claims_study = evaluate(CLAIMS, published), evaluate(CLAIMS, psr)
    page = comparison_markdown(comparison, claims_published, claims_study)
    write_text(options.output_cells, comparison.to_csv(index=False))
    write_text(options.output_claims, claims_study.to_csv(index=False))
    write_text(options.output, tables.heading(options.about) + page)


if __name__ == "__main__":
    arguments = command.parser(__doc__)
    arguments.add_argument("--psr", type=Path, required=True)
    arguments.add_argument("--published", type=Path, required=True, help="Table 1 as tidy data")
    arguments.add_argument("--about", type=json.loads, required=True, help="JSON: what the page says of the study")
    arguments.add_argument("--output-cells", type=Path, required=True)
    arguments.add_argument("--output-claims", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    command.run(main, arguments)
