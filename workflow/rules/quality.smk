# From a cell's stored pictures, and the clean ones stored alike, to what the cloak costs to the eye: a row a face, and
# of all cells a row a cell and measure. A judgement on the CPU that no other stage waits for.
MEASURED = "quality" in config["measures"]


rule measure:
    """Compare each stored picture with the clean one."""
    input:
        again("measure"),
        stored=of_probes(rules.store.output.stored),
        manifest=of_probes(rules.store.output.manifest),
        clean=stored_clean(rules.store.output.stored),
        clean_manifest=stored_clean(rules.store.output.manifest),
        faces=clean_faces,
    output:
        quality=f"{STUDY}/quality/{MEASURED_AS}.csv",
    log:
        f"{LOGS}/measure/{MEASURED_AS}.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("measure.py"),
        cell=cell_facts,
        settings=made_with("measure"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/measure.py "
        "--stored {input.stored:q} "
        "--manifest {input.manifest:q} "
        "--clean {input.clean:q} "
        "--clean-manifest {input.clean_manifest:q} "
        "--faces {input.faces:q} "
        "--cell {params.cell:q} "
        "--output {output.quality:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule quality:
    """Median, 5th and 95th percentile of each cell's faces."""
    input:
        again("quality"),
        every_cell(rules.measure.output.quality, "store"),
        every_cell(rules.perceive.output.lpips, "store") if PERCEIVED else [],
    output:
        quality=f"{STUDY}/quality.csv",
    log:
        f"{LOGS}/quality.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("quality.py"),
        folder=lambda wildcards: STUDY,
        measured=json.dumps(of_quality(config), sort_keys=True),
        settings=made_with("quality"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/quality.py "
        "--study {params.folder:q} "
        "--config {params.measured:q} "
        "--output {output.quality:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
