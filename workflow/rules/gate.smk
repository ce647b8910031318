rule gate:
    """Measure a recogniser's clean top-1 on the sampled faces; nothing is crafted before all have passed."""
    input:
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=lambda wildcards: f"{STUDY}/subjects/{crop_of(wildcards.model)}.npy",
    output:
        gate=f"{STUDY}/gate/{{model}}.json",
    log:
        f"{LOGS}/gate/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
    params:
        code=code_version("gate.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        minimum=config["gate"]["clean_top1"],
        gallery=gallery_option,
    shell:
        "{RUN} {SCRIPTS}/gate.py --name {wildcards.model} --subjects {input.subjects:q} --faces {input.faces:q} "
        "--weights {input.weights:q} {params.gallery} --model {params.model:q} --minimum {params.minimum} "
        "--output {output.gate:q} {COMPUTE} --log {log:q}"


# a condition, not data: what a recogniser scores does not change what is crafted on another
PASSED = [ancient(f"{STUDY}/gate/{model}.json") for model in MODELS]
