# From everything behind the tables to provenance.json, which says what they were made from.
rule provenance:
    """What the numbers were made from: config, code, versions, devices, hashes of every file behind the tables."""
    input:
        again("provenance"),
        rules.aggregate.input,
        STORED,
        rates=rules.aggregate.output,
        scores=CLEAN_SCORES,
        quality=[rules.quality.output.quality, rules.front.output.cells, rules.front.output.needed] if MEASURED else [],
        ladder=rules.ladder.output if LADDERED else [],
        groups=rules.groups.output if PROPERTIES else [],
        faces=rules.faces.output,
        tables=rules.table.output,
        comparison=rules.compare.output if COMPARED else [],
        subjects=f"{STUDY}/subjects.csv",
        gates=GATES,
        weights=expand(f"{STUDY}/weights/{{model}}.safetensors", model=MODELS),
    output:
        provenance=f"{STUDY}/provenance.json",
    log:
        f"{LOGS}/provenance.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("provenance.py"),
        folder=lambda wildcards: STUDY,
        config=handed("CLOAKBENCH_CONFIG", config),
        about=ABOUT_HASH,
        scripts=lambda wildcards: handed("CLOAKBENCH_CODE", code_of_all()),
        settings=made_with("provenance"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/provenance.py "
        "--study {params.folder:q} "
        "--tables {input.rates:q} {input.scores:q} {input.quality:q} {input.ladder:q} {input.groups:q} {input.faces:q} "
        "{input.tables:q} {input.comparison:q} "
        "--config $CLOAKBENCH_CONFIG "
        "--about $CLOAKBENCH_ABOUT "
        "--code $CLOAKBENCH_CODE "
        "--output {output.provenance:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
