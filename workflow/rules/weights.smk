rule train:
    """Train a recogniser on the photos that the study enrols."""
    input:
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
    params:
        code=code_version("train.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "mean", "std"),
        epochs=config["training"]["epochs"],
        seed=config["seed"],
    shell:
        "{RUN} {SCRIPTS}/train.py --photos {input.photos:q} --faces {input.faces:q} --model {params.model:q} "
        "--epochs {params.epochs} --seed {params.seed} --output {output.weights:q} {COMPUTE} --log {log:q}"


def class_list(wildcards):
    """Where convert finds the identities of a softmax head: a list of its own, or the data set that it was trained on."""
    model, dataset = config["models"][wildcards.model], config["dataset"]
    if model["head"] == "gallery":
        return ""
    if "classes" in model:
        return f"--classes {shlex.quote(model['classes'])}"
    return f"--loader {dataset['loader']} --root {shlex.quote(dataset['root'])}"


rule convert:
    """Check a checkpoint's hash and shapes and bring it into the form and naming that every job reads."""
    input:
        checkpoint=lambda wildcards: checkpoint_of(wildcards.model),
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
        code=code_version("convert.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "member"),
        digest=lambda wildcards: digest_of(wildcards.model) or "any",
        classes=class_list,
    shell:
        "{RUN} {SCRIPTS}/convert.py --checkpoint {input.checkpoint:q} --model {params.model:q} "
        "--digest {params.digest} {params.classes} --output {output.weights:q} --log {log:q}"
