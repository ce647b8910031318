# From a cell's stored pictures and the faces found again in them to what a target's network puts out for each: records
# (N,) of an embedding, or logits where the class head cannot be taken off, float32. Whoever judges, `classify`
# and others to come, reads them and runs no network. `keep: {outputs: false}` lets them go once they are judged.
OUTPUTS = f"{STUDY}/outputs/{JUDGED_AS}{PART}.npy"


rule look:
    """Show one cell's re-detected faces to one target."""
    input:
        again("look"),
        weights=f"{STUDY}/weights/{{target}}.safetensors",
        passed=f"{STUDY}/gate/{{target}}.json",
        stored=of_probes(rules.store.output.stored),
        redetected=of_probes(rules.redetect.output.redetected),
    output:
        outputs=OUTPUTS if config["keep"]["outputs"] else temp(OUTPUTS),
    log:
        f"{LOGS}/look/{JUDGED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("look.py"),
        model=lambda wildcards: model_facts(wildcards.target, "arch", "head", "mean", "std"),
        crop=lambda wildcards: json.dumps(config["crops"][crop_of(wildcards.target)]),
        missed=config["detection"]["missed"],
        settings=made_with("look"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/look.py "
        "--stored {input.stored:q} "
        "--redetected {input.redetected:q} "
        "--weights {input.weights:q} "
        "--model {params.model:q} "
        "--crop {params.crop:q} "
        "--missed {params.missed} "
        "--output {output.outputs:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule look_at_photos:
    """Show the clean faces, cut from the photographs and never stored, to one target."""
    input:
        again("look_at_photos"),
        weights=f"{STUDY}/weights/{{model}}.safetensors",
        passed=f"{STUDY}/gate/{{model}}.json",
        faces=every_clean_face,
    output:
        outputs=f"{STUDY}/baseline/{{model}}.npy",
    log:
        f"{LOGS}/look_at_photos/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("look_at_photos.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        settings=made_with("look_at_photos"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/look_at_photos.py "
        "--faces {input.faces:q} "
        "--weights {input.weights:q} "
        "--model {params.model:q} "
        "--output {output.outputs:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
