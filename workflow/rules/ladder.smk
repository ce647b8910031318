# From crafted faces and stored pictures to what the recogniser that they were crafted on makes of them with no detector
# between, outputs and ranks as for photographs; with the ordinary cells' ranks to ladder.csv, a row a cell and step.
LADDERED = "ladder" in config["measures"]
CRAFTED_RUNG = f"{STUDY}/ladder/crafted/{pattern('craft', MATRIX)}/{{model}}"
STORED_RUNG = f"{STUDY}/ladder/stored/{pattern('store', MATRIX)}/{{model}}"
UNROUNDED_RUNG = f"{STUDY}/ladder/unrounded/{pattern('craft', MATRIX)}/{{model}}"


use rule craft as craft_unrounded with:
    input:
        again("craft_unrounded"),
        unpack(source_files),
        subjects=photos_of,
        faces=clean_faces,
        start=[],
        others=own_templates,
        passed=passed_gates,
    output:
        crafted=f"{STUDY}/unrounded/{pattern('craft', MATRIX)}{PART}.npy",
    log:
        f"{LOGS}/craft_unrounded/{pattern('craft', MATRIX)}{PART}.log",
    params:
        part=lambda wildcards: f"{part_option(wildcards)} --unrounded".lstrip(),
        settings=made_with("craft_unrounded"),


rule look_at_crafted:
    """Show one cell's crafted faces to a recogniser that they were crafted on."""
    input:
        again("look_at_crafted"),
        weights=f"{STUDY}/weights/{{model}}.safetensors",
        passed=f"{STUDY}/gate/{{model}}.json",
        faces=lambda wildcards: part_by_part(of_probes(rules.craft.output.crafted), wildcards),
        stored=[],
        manifests=[],
    output:
        outputs=f"{CRAFTED_RUNG}.npy" if config["keep"]["outputs"] else temp(f"{CRAFTED_RUNG}.npy"),
    log:
        f"{LOGS}/look_at_crafted/{pattern('craft', MATRIX)}/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("look_at_canvas.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head", "mean", "std"),
        sees=lambda wildcards: json.dumps(config["crops"][crop_of(wildcards.model)]),
        settings=made_with("look_at_crafted"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/look_at_canvas.py "
        "--faces {input.faces:q} "
        "--stored {input.stored:q} "
        "--manifests {input.manifests:q} "
        "--weights {input.weights:q} "
        "--model {params.model:q} "
        "--crop {params.sees:q} "
        "--output {output.outputs:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


use rule look_at_crafted as look_at_unrounded with:
    input:
        again("look_at_unrounded"),
        weights=f"{STUDY}/weights/{{model}}.safetensors",
        passed=f"{STUDY}/gate/{{model}}.json",
        faces=lambda wildcards: part_by_part(rules.craft_unrounded.output.crafted, wildcards),
        stored=[],
        manifests=[],
    output:
        outputs=f"{UNROUNDED_RUNG}.npy" if config["keep"]["outputs"] else temp(f"{UNROUNDED_RUNG}.npy"),
    log:
        f"{LOGS}/look_at_unrounded/{pattern('craft', MATRIX)}/{{model}}.log",
    params:
        settings=made_with("look_at_unrounded"),


use rule look_at_crafted as look_at_stored with:
    input:
        again("look_at_stored"),
        weights=f"{STUDY}/weights/{{model}}.safetensors",
        passed=f"{STUDY}/gate/{{model}}.json",
        faces=[],
        stored=lambda wildcards: part_by_part(of_probes(rules.store.output.stored), wildcards),
        manifests=lambda wildcards: part_by_part(of_probes(rules.store.output.manifest), wildcards),
    output:
        outputs=f"{STORED_RUNG}.npy" if config["keep"]["outputs"] else temp(f"{STORED_RUNG}.npy"),
    log:
        f"{LOGS}/look_at_stored/{pattern('store', MATRIX)}/{{model}}.log",
    params:
        settings=made_with("look_at_stored"),


use rule baseline as rank_crafted with:
    input:
        again("rank_crafted"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=canvases,
        outputs=rules.look_at_crafted.output.outputs,
    output:
        ranks=f"{CRAFTED_RUNG}.csv",
    log:
        f"{LOGS}/rank_crafted/{pattern('craft', MATRIX)}/{{model}}.log",
    params:
        looked=looked_with("look_at_crafted"),
        settings=made_with("rank_crafted"),


use rule baseline as rank_unrounded with:
    input:
        again("rank_unrounded"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=canvases,
        outputs=rules.look_at_unrounded.output.outputs,
    output:
        ranks=f"{UNROUNDED_RUNG}.csv",
    log:
        f"{LOGS}/rank_unrounded/{pattern('craft', MATRIX)}/{{model}}.log",
    params:
        looked=looked_with("look_at_unrounded"),
        settings=made_with("rank_unrounded"),


use rule baseline as rank_stored with:
    input:
        again("rank_stored"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=canvases,
        outputs=rules.look_at_stored.output.outputs,
    output:
        ranks=f"{STORED_RUNG}.csv",
    log:
        f"{LOGS}/rank_stored/{pattern('store', MATRIX)}/{{model}}.log",
    params:
        looked=looked_with("look_at_stored"),
        settings=made_with("rank_stored"),


rule ladder:
    """Which step between a crafted face and a searcher costs it its protection."""
    input:
        again("ladder"),
        every_cell(RANKS, "classify"),
        expand(rules.baseline.output.ranks, model=SOURCES),
        every_rung(rules.rank_crafted.output.ranks, "craft"),
        [file for one in rounded_rungs() for file in expand(rules.rank_unrounded.output.ranks, **one)],
        every_rung(rules.rank_stored.output.ranks, "store"),
    output:
        ladder=f"{STUDY}/ladder.csv",
    log:
        f"{LOGS}/ladder.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("ladder.py"),
        folder=lambda wildcards: STUDY,
        laddered=json.dumps(of_ladder(config), sort_keys=True),
        settings=made_with("ladder"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/ladder.py "
        "--study {params.folder:q} "
        "--config {params.laddered:q} "
        "--output {output.ladder:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
