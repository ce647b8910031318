RANKS = f"{STUDY}/ranks/{JUDGED_AS}.csv"


rule classify:
    """Show one cell's re-detected faces to one target and rank the true identities."""
    input:
        again("classify"),
        unpack(lambda wildcards: model_files(wildcards.target)),
        passed=f"{STUDY}/gate/{{target}}.json",
        subjects=f"{STUDY}/subjects.csv",
        stored=of_probes(rules.store.output.stored),
        redetected=of_probes(rules.redetect.output.redetected),
    output:
        ranks=f"{STUDY}/parts/{JUDGED_AS}{PART}.csv" if PARTS else RANKS,
    log:
        f"{LOGS}/classify/{JUDGED_AS}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("classify.py"),
        model=lambda wildcards: model_facts(wildcards.target, "arch", "head", "mean", "std"),
        crop=lambda wildcards: json.dumps(config["crops"][crop_of(wildcards.target)]),
        missed=config["detection"]["missed"],
        cell=cell_facts,
        gallery=gallery_option,
        settings=made_with("classify"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/classify.py "
        "--subjects {input.subjects:q} --stored {input.stored:q} "
        "--redetected {input.redetected:q} --weights {input.weights:q} {params.gallery} --model {params.model:q} "
        "--crop {params.crop:q} --missed {params.missed} --cell {params.cell:q} --output {output.ranks:q} "
        "{params.compute} \\\n--settings {params.settings:q} --log {log:q}"


if PARTS:

    rule gather:
        """Lay the parts of a cell's ranks one below the other."""
        input:
            again("gather"),
            parts=[rules.classify.output.ranks.replace("{part}", str(part)) for part in PARTS["part"]],
        output:
            ranks=RANKS,
        log:
            f"{LOGS}/gather/{JUDGED_AS}.log",
        conda:
            "../../envs/cloakbench.yaml"
        params:
            code=code_of("gather.py"),
            settings=made_with("gather"),
        shell:
            "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/gather.py "
            "--parts {input.parts:q} --output {output.ranks:q} "
            "\\\n--settings {params.settings:q} --log {log:q}"
