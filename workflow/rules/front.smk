# From rates and quality to what protection costs: the cells that no other one beats, the budget and the SSIM at which
# half of the faces are protected, and nine of ten, and a figure.
rule front:
    """Set protection against what it costs to the eye."""
    input:
        again("front"),
        every_cell(RANKS, "classify"),
        psr=rules.aggregate.output.psr,
        quality=rules.quality.output.quality,
    output:
        cells=f"{STUDY}/front.csv",
        needed=f"{STUDY}/needed.csv",
        png=report(
            f"{STUDY}/figures/front.png",
            caption="../report/front.rst",
            category="Figures",
            labels={"figure": "PSR against SSIM", "source": "all", "storage": "all"},
        ),
        pdf=f"{STUDY}/figures/front.pdf",
    log:
        f"{LOGS}/front.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("front.py"),
        folder=lambda wildcards: STUDY,
        judged=json.dumps(of_tables(config), sort_keys=True),
        about=ABOUT_HASH,
        settings=made_with("front"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/front.py "
        "--study {params.folder:q} "
        "--config {params.judged:q} "
        "--about $CLOAKBENCH_ABOUT "
        "--outputs {output.cells:q} {output.needed:q} "
        "--figures {output.png:q} {output.pdf:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
