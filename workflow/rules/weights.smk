# From checkpoints, or the enrolled faces, to weights/<model>.safetensors: one form and naming for every job.
rule train:
    """Train a recogniser on the photos that the study enrols."""
    input:
        again("train"),
        photos=f"{STUDY}/enrolment.csv",
        faces=lambda wildcards: f"{STUDY}/enrolment/{crop_of(wildcards.model)}.npy",
    output:
        weights=f"{STUDY}/weights/{{model}}.safetensors",
    log:
        f"{LOGS}/train/{{model}}.log",
    wildcard_constraints:
        model="|".join(TRAINED) or "none",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("train.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "mean", "std"),
        epochs=config["training"]["epochs"],
        seed=config["seed"],
        settings=made_with("train"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/train.py "
        "--photos {input.photos:q} "
        "--faces {input.faces:q} "
        "--model {params.model:q} "
        "--epochs {params.epochs} "
        "--seed {params.seed} "
        "--output {output.weights:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule convert:
    """Check a checkpoint's hash and shapes and bring it into the form and naming that every job reads."""
    input:
        again("convert"),
        # a user's own file is a param, known by its content: Snakemake would read placeholders into its name; one that
        # was fetched is known by its digest, whatever its date
        lambda wildcards: ancient(checkpoint_of(wildcards.model)) if wildcards.model in FETCHED else [],
    output:
        weights=f"{STUDY}/weights/{{model}}.safetensors",
    log:
        f"{LOGS}/convert/{{model}}.log",
    wildcard_constraints:
        model="|".join(sorted(set(MODELS) - set(TRAINED))) or "none",
    priority: 10  # what may be wrong with a file shows before the long work
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("convert.py"),
        model=conversion_facts,
        crop=trial_crop,
        checkpoint=lambda wildcards: checkpoint_of(wildcards.model),
        content=given_content,
        digest=lambda wildcards: digest_of(wildcards.model) or "any",
        classes=class_list,
        settings=made_with("convert"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/convert.py "
        "--checkpoint {params.checkpoint:q} "
        "--model {params.model:q} "
        "--digest {params.digest} "
        "{params.classes} "
        '--root "$CLOAKBENCH_PHOTOS" '
        "{params.crop} "
        "--output {output.weights:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
