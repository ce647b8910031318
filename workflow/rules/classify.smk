# From a target's outputs for a cell's faces to a row a face: detected, rank of the true identity, who was named. A
# judgement on the CPU: it takes a class head from the weights, or the gallery's templates, and runs no network.
RANKS = f"{STUDY}/ranks/{JUDGED_AS}.csv"


rule classify:
    """Rank the true identities of one cell by what one target has put out for its faces."""
    input:
        again("classify"),
        unpack(lambda wildcards: model_files(wildcards.target)),
        subjects=f"{STUDY}/subjects.csv",
        redetected=lambda wildcards: part_by_part(rules.look.input.redetected, wildcards),
        outputs=lambda wildcards: part_by_part(OUTPUTS, wildcards),
    output:
        ranks=RANKS,
    log:
        f"{LOGS}/classify/{JUDGED_AS}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        compute=JUDGING,
        code=code_of("classify.py"),
        model=lambda wildcards: model_facts(wildcards.target, "arch", "head"),
        missed=config["detection"]["missed"],
        cell=cell_facts,
        gallery=gallery_option,
        looked=looked_with("look"),
        settings=made_with("classify"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/classify.py "
        "--subjects {input.subjects:q} "
        "--redetected {input.redetected:q} "
        "--outputs {input.outputs:q} "
        "--weights {input.weights:q} "
        "{params.gallery} "
        "--model {params.model:q} "
        "--missed {params.missed} "
        "--cell {params.cell:q} "
        "--output {output.ranks:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule baseline:
    """The same of the clean faces as they are cut from the photographs: what storing a crop costs shows beside it."""
    input:
        again("baseline"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=every_clean_face,
        outputs=rules.look_at_photos.output.outputs,
    output:
        ranks=f"{STUDY}/baseline/{{model}}.csv",
    log:
        f"{LOGS}/baseline/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        compute=JUDGING,
        code=code_of("baseline.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head"),
        gallery=gallery_option,
        settings=made_with("baseline"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/baseline.py "
        "--name {wildcards.model} "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--outputs {input.outputs:q} "
        "--weights {input.weights:q} "
        "{params.gallery} "
        "--model {params.model:q} "
        "--output {output.ranks:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule clean_scores:
    """How like clean faces are to their own template and to everybody else's, of a target with a gallery."""
    input:
        again("clean_scores"),
        unpack(scored_files),
        subjects=f"{STUDY}/subjects.csv",
        faces=every_clean_face,
        outputs=rules.look_at_photos.output.outputs,
    output:
        scores=f"{STUDY}/scores/{{model}}.csv",
    log:
        f"{LOGS}/clean_scores/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        compute=JUDGING,
        code=code_of("clean_scores.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head"),
        settings=made_with("clean_scores"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/clean_scores.py "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--outputs {input.outputs:q} "
        "--weights {input.weights:q} "
        "--gallery {input.gallery:q} "
        "--model {params.model:q} "
        "--output {output.scores:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


CLEAN_SCORES = expand(rules.clean_scores.output.scores, model=SCORED)
