rule enrol:
    """The gallery of a recogniser without a class head: a mean template an identity."""
    input:
        again("enrol"),
        photos=f"{STUDY}/enrolment.csv",
        faces=lambda wildcards: f"{STUDY}/enrolment/{crop_of(wildcards.model)}.npy",
        weights=f"{STUDY}/weights/{{model}}.safetensors",
    output:
        gallery=f"{STUDY}/galleries/{{model}}.safetensors",
    log:
        f"{LOGS}/enrol/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("enrol.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        settings=made_with("enrol"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/enrol.py "
        "--photos {input.photos:q} --faces {input.faces:q} --weights {input.weights:q} "
        "--model {params.model:q} --output {output.gallery:q} {params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
