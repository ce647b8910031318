rule gate:
    """Measure a recogniser's clean top-1 on the sampled faces; nothing is crafted on it or shown to it before."""
    input:
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=every_clean_face,
    output:
        gate=f"{STUDY}/gate/{{model}}.json",
    log:
        f"{LOGS}/gate/{{model}}.log",
    priority: 5  # before the long work
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
        minimum=str(config["gate"]["clean_top1"]),
        crafted=crafting_options,
    params:
        compute=COMPUTE,
        # no code version, no minimum: a gate that was passed is a condition, not data, and repeats no crafting
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        gallery=gallery_option,
    shell:
        "python -S -m cloakbench.warm $CLOAKBENCH_SCRIPTS/gate.py --name {wildcards.model} --subjects {input.subjects:q} --faces {input.faces:q} "
        "--weights {input.weights:q} {params.gallery} --model {params.model:q} --minimum {resources.minimum} "
        "{resources.crafted} --output {output.gate:q} {params.compute} --log {log:q}"
