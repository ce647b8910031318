rule baseline:
    """Show the clean faces, cut from the photographs and never stored, to one target: what storing a crop costs shows
    beside it."""
    input:
        again("baseline"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        passed=rules.gate.output.gate,
        subjects=f"{STUDY}/subjects.csv",
        faces=every_clean_face,
    output:
        ranks=f"{STUDY}/baseline/{{model}}.csv",
    log:
        f"{LOGS}/baseline/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("baseline.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        gallery=gallery_option,
        settings=made_with("baseline"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/baseline.py "
        "--name {wildcards.model} --subjects {input.subjects:q} --faces {input.faces:q} "
        "--weights {input.weights:q} {params.gallery} --model {params.model:q} --output {output.ranks:q} "
        "{params.compute} \\\n--settings {params.settings:q} --log {log:q}"
