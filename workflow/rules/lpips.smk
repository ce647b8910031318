# From a cell's stored pictures, and the clean ones stored alike, to LPIPS, a row a face: what else quality.csv tells of
# a study that names the network's files. A judgement on the CPU, like measure.
PERCEIVED = "lpips" in config["measures"]
LPIPS = config.get("lpips", {})


rule convert_lpips:
    """Check the two files that LPIPS is made of and bring them into the form that every job reads."""
    input:
        again("convert_lpips"),
    output:
        network=f"{STUDY}/lpips.safetensors",
    log:
        f"{LOGS}/convert_lpips.log",
    priority: 10  # what may be wrong with a file shows before the long work
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("convert_lpips.py"),
        alexnet=LPIPS.get("alexnet", ""),
        heads=LPIPS.get("heads", ""),
        digests=json.dumps({name: LPIPS.get(f"{name}_sha256") for name in ("alexnet", "heads")}),
        settings=made_with("convert_lpips"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/convert_lpips.py "
        "--alexnet {params.alexnet:q} "
        "--heads {params.heads:q} "
        "--digests {params.digests:q} "
        "--output {output.network:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule perceive:
    """Compare each stored picture with the clean one as a network sees them."""
    input:
        again("perceive"),
        stored=of_probes(rules.store.output.stored),
        manifest=of_probes(rules.store.output.manifest),
        clean=stored_clean(rules.store.output.stored),
        clean_manifest=stored_clean(rules.store.output.manifest),
        faces=clean_faces,
        network=rules.convert_lpips.output.network,
    output:
        lpips=f"{STUDY}/lpips/{MEASURED_AS}.csv",
    log:
        f"{LOGS}/perceive/{MEASURED_AS}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        compute=JUDGING,
        code=code_of("perceive.py"),
        cell=cell_facts,
        settings=made_with("perceive"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/perceive.py "
        "--stored {input.stored:q} "
        "--manifest {input.manifest:q} "
        "--clean {input.clean:q} "
        "--clean-manifest {input.clean_manifest:q} "
        "--faces {input.faces:q} "
        "--network {input.network:q} "
        "--cell {params.cell:q} "
        "--output {output.lpips:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
