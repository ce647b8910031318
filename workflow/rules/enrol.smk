# From the enrolled photographs' faces to the galleries of recognisers without a class head: a template an identity.
# Below galleries/role=enrolled/ those of people who had cloaked their photographs before these were gathered: as
# stored, found again and cut anew. They are made where something asks for them.
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
        "--photos {input.photos:q} "
        "--faces {input.faces:q} "
        "--weights {input.weights:q} "
        "--model {params.model:q} "
        "--output {output.gallery:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule enrol_cloaked:
    """The same gallery, but that the attacked people's photographs in it are the cloaked ones of a cell."""
    input:
        again("enrol_cloaked"),
        photos=f"{STUDY}/enrolment.csv",
        faces=lambda wildcards: f"{STUDY}/enrolment/{crop_of(wildcards.model)}.npy",
        cloaked=f"{STUDY}/enrolled.csv",
        stored=lambda wildcards: expand(rules.store.output.stored, **dict(wildcards), **PARTS),
        redetected=lambda wildcards: expand(rules.redetect.output.redetected, **dict(wildcards), **PARTS),
        weights=f"{STUDY}/weights/{{model}}.safetensors",
    output:
        gallery=f"{STUDY}/galleries/{REDETECTED_AS}/{{model}}.safetensors",
    log:
        f"{LOGS}/enrol/{REDETECTED_AS}/{{model}}.log",
    wildcard_constraints:
        role="role=enrolled/",
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
        crop=lambda wildcards: json.dumps(config["crops"][crop_of(wildcards.model)]),
        settings=made_with("enrol_cloaked"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/enrol.py "
        "--photos {input.photos:q} "
        "--faces {input.faces:q} "
        "--cloaked {input.cloaked:q} "
        "--stored {input.stored:q} "
        "--redetected {input.redetected:q} "
        "--crop {params.crop:q} "
        "--weights {input.weights:q} "
        "--model {params.model:q} "
        "--output {output.gallery:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
