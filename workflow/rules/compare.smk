# When a study covers the paper's grid, it is set beside the paper's Table 1.
PUBLISHED = LIBRARY / "cloakbench/paper/table1.csv"
COMPARED = covers_paper(config)


rule compare:
    """Published and measured PSR cell by cell, and the paper's claims judged on both."""
    input:
        again("compare"),
        every_cell(RANKS, "classify"),
        expand(rules.baseline.output.ranks, model=MATRIX["target"]),
        psr=rules.aggregate.output.psr,
        published=PUBLISHED,
    output:
        cells=f"{STUDY}/comparison.csv",
        claims=f"{STUDY}/claims.csv",
        page=report(
            f"{STUDY}/comparison.md",
            caption="../report/comparison.rst",
            category="Tables",
            labels={"table": "Comparison with the paper", "format": "Markdown"},
        ),
    log:
        f"{LOGS}/compare.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("compare.py"),
        folder=lambda wildcards: STUDY,
        judged=json.dumps(of_tables(config), sort_keys=True),
        about=ABOUT_HASH,
        settings=made_with("compare"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/compare.py "
        "--study {params.folder:q} "
        "--config {params.judged:q} "
        "--psr {input.psr:q} "
        "--about $CLOAKBENCH_ABOUT "
        "--outputs {output:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
