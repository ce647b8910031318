# From a cell's stored pictures to the face that a detector finds again in each: a row a face, box and five points.
rule redetect:
    """Find the face again in each stored picture."""
    input:
        again("redetect"),
        stored=rules.store.output.stored,
        manifest=rules.store.output.manifest,
    output:
        redetected=f"{STUDY}/redetected/{REDETECTED_AS}{PART}.csv",
    log:
        f"{LOGS}/redetect/{REDETECTED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("redetect.py"),
        settings=made_with("redetect"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/redetect.py "
        "--stored {input.stored:q} "
        "--manifest {input.manifest:q} "
        "--output {output.redetected:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
