rule store:
    """Write a cell's faces as the files that would be published, with a manifest of their hashes."""
    input:
        again("store"),
        subjects=f"{STUDY}/subjects.csv",
        faces=crafted_faces,
    output:
        stored=directory(f"{STUDY}/stored/{{source}}/{{attack}}/eps{{eps}}/{{storage}}{PART}"),
        manifest=f"{STUDY}/manifests/{{source}}/{{attack}}/eps{{eps}}/{{storage}}{PART}.csv",
    log:
        f"{LOGS}/store/{{source}}/{{attack}}/eps{{eps}}/{{storage}}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_version("store.py"),
        storage=lambda wildcards: json.dumps(config["storages"][wildcards.storage]),
        part=part_option,
        settings=made_with("store"),
    shell:
        "python -S -m cloakbench.warm $CLOAKBENCH_SCRIPTS/store.py "
        "--subjects {input.subjects:q} --faces {input.faces:q} "
        "--storage {params.storage:q} {params.part} --output {output.stored:q} --output-manifest {output.manifest:q} "
        "--settings {params.settings:q} --log {log:q}"


# every cell's pictures are a result: one that is deleted is made again
STORAGE_KEYS = {key: MATRIX[key] for key in ("source", "attack", "eps", "storage")}
STORED = expand(rules.store.output.stored, **STORAGE_KEYS, **PARTS)
STORED += expand(rules.store.output.stored, **STORAGE_KEYS | {"attack": "clean", "eps": 0}, **PARTS)
