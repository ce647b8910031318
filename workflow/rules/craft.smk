# From the clean faces of a canvas, a recogniser's crop, to a cell's crafted ones: (N, height, width, 3) uint8.
# Where an attack's budgets share a path, `path` walks it from budget to budget, and `craft` leaves it where a budget's
# own steps begin: 147 gradients a face for BIM at the paper's six budgets instead of 271, one cell is one file and one
# job, and a further budget repeats no other one. What a stretch leaves for the next, the state, lies in path/.
rule path:
    """Walk the path that all budgets of an attack share, along one stretch."""
    input:
        again("path"),
        unpack(source_files),
        subjects=photos_of,
        faces=clean_faces,
        start=path_start,
        others=own_templates,
        passed=passed_gates,
    output:
        state=f"{STUDY}/path/{CRAFTED_AS}{PART}.npy",
    log:
        f"{LOGS}/path/{CRAFTED_AS}{PART}.log",
    wildcard_constraints:
        eps=r"\d+",  # also those between a study's budgets
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=CRAFTING,
        code=code_of("craft.py"),
        sources=source_facts,
        attack=lambda wildcards: json.dumps(config["attacks"][wildcards.attack]),
        previous=lambda wildcards: link(int(wildcards.eps)),
        seed=config.get("noise", config["seed"]),
        part=part_option,
        settings=made_with("path"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/craft.py "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--start {input.start:q} "
        "--weights {input.weights:q} "
        "--galleries {input.galleries:q} "
        "--others {input.others:q} "
        "--sources {params.sources:q} "
        "--attack {params.attack:q} "
        "--eps {wildcards.eps} "
        "--walk-from {params.previous} "
        "--seed {params.seed} "
        "{params.part} "
        "--output {output.state:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule craft:
    """Craft one cell: from where its budget leaves the path, or from the clean faces."""
    input:
        again("craft"),
        unpack(source_files),
        subjects=photos_of,
        faces=clean_faces,
        start=crafting_start,
        others=own_templates,
        passed=passed_gates,
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
        sources=source_facts,
        attack=lambda wildcards: json.dumps(config["attacks"][wildcards.attack]),
        seed=config.get("noise", config["seed"]),
        part=part_option,
        settings=made_with("craft"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/craft.py "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--start {input.start:q} "
        "--weights {input.weights:q} "
        "--galleries {input.galleries:q} "
        "--others {input.others:q} "
        "--sources {params.sources:q} "
        "--attack {params.attack:q} "
        "--eps {wildcards.eps} "
        "--seed {params.seed} "
        "{params.part} "
        "--output {output.crafted:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
