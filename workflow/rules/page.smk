# From the tables, what provenance.json says of them, and the pictures to two pages: report.html with faces, and
# summary.html without faces and names, small enough for Snakemake's own report.
PAGED = config.get("report", {}).get("faces", "all" if config["dataset"]["loader"] == "synthetic" else 0)


rule page:
    """Say on one page what the study found."""
    input:
        again("page"),
        rules.provenance.input,
        provenance=rules.provenance.output.provenance,
        clean=(
            expand(FACES, photos="subjects", crop=[canvas(config, name) for name in MATRIX["source"]], **PARTS)
            if PAGED
            else []
        ),
        crafted=every_cloak(of_probes(rules.craft.output.crafted)) if PAGED else [],
    output:
        report=f"{STUDY}/report.html",
        summary=report(
            f"{STUDY}/summary.html",
            caption="../report/summary.rst",
            category="Study",
            labels={"page": "What the study found"},
        ),
    log:
        f"{LOGS}/page.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("page.py"),
        folder=lambda wildcards: STUDY,
        template=[content(LIBRARY / "cloakbench/page" / name) for name in ("page.html.jinja", "page.css", "page.js")],
        settings=made_with("page"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/page.py "
        "--study {params.folder:q} "
        "--report {output.report:q} "
        "--summary {output.summary:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
