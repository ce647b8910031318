# From the leaf files of all cells to faces.csv, a row a face and cell, which statistics of a reader's own start from.
rule faces:
    """One long table of what every face came to, written cell by cell."""
    input:
        again("faces"),
        every_cell(RANKS, "classify"),
        every_cell(rules.measure.output.quality, "store") if MEASURED else [],
        every_cell(rules.perceive.output.lpips, "store") if PERCEIVED else [],
    output:
        faces=f"{STUDY}/faces.csv",
    log:
        f"{LOGS}/faces.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("faces.py"),
        folder=lambda wildcards: STUDY,
        faced=json.dumps(of_faces(config), sort_keys=True),
        settings=made_with("faces"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/faces.py "
        "--study {params.folder:q} "
        "--config {params.faced:q} "
        "--output {output.faces:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
