# All budgets of an attack follow one path until the smaller budget's clip sets in. `path` walks it from budget to
# budget, `craft` leaves it where a budget's own steps begin: 147 gradients an image for the paper's six budgets
# instead of 271, one cell is one file and one job, and a new budget repeats no smaller one.
rule path:
    """Walk the path that all budgets share, from the next smaller budget to this one."""
    input:
        again("path"),
        unpack(lambda wildcards: model_files(wildcards.source)),
        subjects=f"{STUDY}/subjects.csv",
        faces=clean_faces,
        start=path_start,
        passed=f"{STUDY}/gate/{{source}}.json",
    output:
        crafted=f"{STUDY}/path/{CRAFTED_AS}{PART}.npy",
    log:
        f"{LOGS}/path/{CRAFTED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=CRAFTING,
        code=code_of("craft.py"),
        model=lambda wildcards: model_facts(wildcards.source, "arch", "head", "mean", "std", "scale"),
        attack=lambda wildcards: json.dumps(config["attacks"][wildcards.attack]),
        previous=lambda wildcards: smaller_budget(wildcards.eps),
        gallery=gallery_option,
        part=part_option,
        settings=made_with("path"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/craft.py "
        "--subjects {input.subjects:q} --faces {input.faces:q} --start {input.start:q} "
        "--weights {input.weights:q} {params.gallery} --model {params.model:q} --attack {params.attack:q} "
        "--eps {wildcards.eps} --walk-from {params.previous} {params.part} --output {output.crafted:q} "
        "{params.compute} \\\n--settings {params.settings:q} --log {log:q}"


rule craft:
    """Craft one cell: from where budget eps leaves the shared path, clipped to eps."""
    input:
        again("craft"),
        unpack(lambda wildcards: model_files(wildcards.source)),
        subjects=f"{STUDY}/subjects.csv",
        faces=clean_faces,
        start=rules.path.output.crafted,
    output:
        crafted=f"{STUDY}/crafted/{CRAFTED_AS}{PART}.npy",
    log:
        f"{LOGS}/craft/{CRAFTED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=CRAFTING,
        code=code_of("craft.py"),
        model=lambda wildcards: model_facts(wildcards.source, "arch", "head", "mean", "std", "scale"),
        attack=lambda wildcards: json.dumps(config["attacks"][wildcards.attack]),
        gallery=gallery_option,
        part=part_option,
        settings=made_with("craft"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/craft.py "
        "--subjects {input.subjects:q} --faces {input.faces:q} --start {input.start:q} "
        "--weights {input.weights:q} {params.gallery} --model {params.model:q} --attack {params.attack:q} "
        "--eps {wildcards.eps} {params.part} --output {output.crafted:q} {params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
