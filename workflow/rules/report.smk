# From psr.csv to curves, and from the first subject's faces to a page of examples: PNG and PDF.
FIGURES = [
    f"{STUDY}/figures/examples.png",
    *expand(f"{STUDY}/figures/psr/{{source}}/{{storage}}.png", source=MATRIX["source"], storage=MATRIX["storage"]),
    *expand(f"{STUDY}/figures/cmc/{{source}}/{{storage}}.png", source=MATRIX["source"], storage=MATRIX["storage"]),
]


# lists, for their order is the figure's: of a mapping that is handed on none is left
EXAMPLES = [
    [f"{source} {attack}", example_faces(source, attack)] for source in MATRIX["source"] for attack in MATRIX["attack"]
]
EXAMPLES_HASH = handed("CLOAKBENCH_EXAMPLES", EXAMPLES)


rule curves:
    """PSR against the budget for one source, as the paper's Figures 3 to 5, and whom a longer list would still name."""
    input:
        again("curves"),
        shown_together,
        psr=rules.aggregate.output.psr,
    output:
        png=report(
            f"{STUDY}/figures/psr/{{source}}/{{storage}}.png",
            caption="../report/curves.rst",
            category="Figures",
            labels={"figure": "PSR against budget", "source": "{source}", "storage": "{storage}"},
        ),
        pdf=f"{STUDY}/figures/psr/{{source}}/{{storage}}.pdf",
        cmc=report(
            f"{STUDY}/figures/cmc/{{source}}/{{storage}}.png",
            caption="../report/cmc.rst",
            category="Figures",
            labels={"figure": "Identification rate against rank", "source": "{source}", "storage": "{storage}"},
        ),
        cmc_pdf=f"{STUDY}/figures/cmc/{{source}}/{{storage}}.pdf",
    log:
        f"{LOGS}/curves/{{source}}/{{storage}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("curves.py"),
        folder=lambda wildcards: STUDY,
        judged=json.dumps(of_tables(config), sort_keys=True),
        about=ABOUT_HASH,
        settings=made_with("curves"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/curves.py "
        "--psr {input.psr:q} "
        "--study {params.folder:q} "
        "--config {params.judged:q} "
        "--source {wildcards.source} "
        "--storage {wildcards.storage} "
        "--about $CLOAKBENCH_ABOUT "
        "--output {output.png:q} "
        "--output-pdf {output.pdf:q} "
        "--cmc {output.cmc:q} {output.cmc_pdf:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule examples:
    """One subject's faces by source, attack and budget, as the paper's Figure 2."""
    input:
        again("examples"),
        sorted({file for _, columns in EXAMPLES for _, file in columns}),
    output:
        png=report(
            f"{STUDY}/figures/examples.png",
            caption="../report/examples.rst",
            category="Figures",
            labels={"figure": "Example faces", "source": "all", "storage": "before storage"},
        ),
    log:
        f"{LOGS}/examples.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("examples.py"),
        rows=EXAMPLES_HASH,
        about=ABOUT_HASH,
        settings=made_with("examples"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/examples.py "
        "--rows $CLOAKBENCH_EXAMPLES "
        "--about $CLOAKBENCH_ABOUT "
        "--output {output.png:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
