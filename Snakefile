# cloakbench: how well does an adversarial cloak protect a face photograph against recognition?
#   snakemake --cores all                                              the default study, config.yaml
#   snakemake --cores all --configfile workflow/studies/lfw.yaml      another one
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))  # this file's, whoever uses it as a module


configfile: f"{ROOT}/config.yaml"


report: "workflow/report/study.rst"


include: "workflow/rules/config.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/detect.smk"
include: "workflow/rules/draw.smk"
include: "workflow/rules/crop.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/enrol.smk"
include: "workflow/rules/own.smk"
include: "workflow/rules/gate.smk"
include: "workflow/rules/craft.smk"
include: "workflow/rules/store.smk"
include: "workflow/rules/redetect.smk"
include: "workflow/rules/look.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/lpips.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/front.smk"
include: "workflow/rules/ladder.smk"
include: "workflow/rules/properties.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/provenance.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/page.smk"


rule all:
    """The whole study: tables, figures, provenance and pages."""
    default_target: True
    input:
        GATES,
        STORED,
        rules.aggregate.input,
        rules.aggregate.output,
        CLEAN_SCORES,
        [*rules.quality.output, *rules.front.output] if MEASURED else [],
        rules.ladder.output if LADDERED else [],
        rules.groups.output if PROPERTIES else [],
        rules.faces.output,
        rules.table.output,
        rules.provenance.output,
        rules.compare.output if COMPARED else [],
        FIGURES,
        rules.page.output,
