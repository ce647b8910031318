# From the ranks of all cells to psr.csv, a row a cell and k, and what stands beside it; from it to Table 1.
# what a table or figure says of the study it comes from
ABOUT = {
    "study": config["study"],
    "loader": config["dataset"]["loader"],
    "root": None if config["dataset"]["loader"] == "synthetic" else PHOTOS,
    "subjects": config["dataset"]["subjects"],
    "photos": config["dataset"]["photos"],
    "seed": config["seed"],
    **{key: config["dataset"][key] for key in ("draw", "draws") if key in config["dataset"]},
    "missed": config["detection"]["missed"],
    "precision": config["compute"]["precision"],
    "models": {name: json.loads(model_facts(name, "arch", "weights", "head", "member")) for name in MODELS},
}
ABOUT_HASH = handed("CLOAKBENCH_ABOUT", ABOUT)


rule aggregate:
    """From the rank of every face to Protection Success Rates, and to comparisons on the same faces."""
    input:
        again("aggregate"),
        every_cell(RANKS, "classify"),
        expand(rules.baseline.output.ranks, model=MATRIX["target"]),
    output:
        psr=report(
            f"{STUDY}/psr.csv",
            caption="../report/psr.rst",
            category="Tables",
            labels={"table": "PSR of every cell", "format": "CSV"},
        ),
        strongest=f"{STUDY}/strongest.csv",
        comparisons=f"{STUDY}/comparisons.csv",
    log:
        f"{LOGS}/aggregate.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("aggregate.py"),
        folder=lambda wildcards: STUDY,
        judged=json.dumps(of_tables(config), sort_keys=True),
        settings=made_with("aggregate"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/aggregate.py "
        "--study {params.folder:q} "
        "--config {params.judged:q} "
        "--outputs {output:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule table:
    """PSR in the layout of the paper's Table 1."""
    input:
        again("table"),
        psr=rules.aggregate.output.psr,
    output:
        csv=f"{STUDY}/table1.csv",
        md=report(
            f"{STUDY}/table1.md",
            caption="../report/table1.rst",
            category="Tables",
            labels={"table": "Table 1", "format": "Markdown"},
        ),
        tex=f"{STUDY}/table1.tex",
    log:
        f"{LOGS}/table.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("table.py"),
        about=ABOUT_HASH,
        settings=made_with("table"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/table.py "
        "--psr {input.psr:q} "
        "--about $CLOAKBENCH_ABOUT "
        "--outputs {output:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
