rule provenance:
    """What the numbers were made from: config, code, versions, devices, hashes of every file behind the tables."""
    input:
        again("provenance"),
        rules.aggregate.input,
        STORED,
        psr=rules.aggregate.output.psr,
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
        config=lambda wildcards: json.dumps(config, sort_keys=True),
        about=lambda wildcards: json.dumps(ABOUT, sort_keys=True),
        scripts=lambda wildcards: json.dumps(code_of_all(), sort_keys=True),
        settings=made_with("provenance"),
    shell:
        "{JOB}/provenance.py "
        "--study {params.folder:q} --tables {input.psr:q} {input.tables:q} {input.comparison:q} "
        "--config {params.config:q} "
        "--about {params.about:q} --code {params.scripts:q} --output {output.provenance:q} "
        "--settings {params.settings:q} --log {log:q}"
