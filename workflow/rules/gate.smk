# From a recogniser and the clean faces to what it makes of them, gate/<model>.json; below the minimum the study ends.
rule gate:
    """Measure a recogniser's clean top-1 on the sampled faces; nothing is crafted on it or shown to it before."""
    input:
        again("gate"),
        unpack(lambda wildcards: gate_files(wildcards.model)),
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
        # no params: a gate that was passed is a condition and no data, another minimum repeats no crafting (above)
        minimum=str(config["gate"]["clean_top1"]),
        cost=cost_options,
    params:
        compute=COMPUTE,
        # of the recognisers alone, whose edit repeats crafting anyway: what follows a gate is made anew with it
        code=code_of("cloakbench.recognisers.recogniser.load_recogniser"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        gallery=gate_options,
        # another one is tried at the cost estimate, before it may turn out to be slow
        precision=lambda wildcards: config["compute"]["precision"] if wildcards.model in SOURCES else "",
        settings=made_with("gate"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/gate.py "
        "--name {wildcards.model} "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--weights {input.weights:q} "
        "{params.gallery} "
        "--model {params.model:q} "
        "--minimum {resources.minimum} "
        "{resources.cost} "
        "--output {output.gate:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
