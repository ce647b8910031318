# From a cell's crafted faces to the files that would be published, and a manifest of their hashes.
rule store:
    """Write a cell's faces as the files that would be published, with a manifest of their hashes."""
    input:
        again("store"),
        subjects=photos_of,
        faces=crafted_faces,
    output:
        stored=directory(f"{STUDY}/stored/{STORED_AS}{PART}"),
        manifest=f"{STUDY}/manifests/{STORED_AS}{PART}.csv",
    log:
        f"{LOGS}/store/{STORED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("store.py"),
        storage=lambda wildcards: json.dumps(config["storages"][wildcards.storage]),
        part=part_option,
        settings=made_with("store"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/store.py "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--storage {params.storage:q} "
        "{params.part} "
        "--output {output.stored:q} "
        "--output-manifest {output.manifest:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


# every cell's pictures are a result: one that is deleted is made again
STORED = every_cell(rules.store.output.stored, "store")
