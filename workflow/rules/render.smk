# From a seed to the photographs of a synthetic study: photos/<identity>/<number>.jpg.
rule render:
    """Synthetic faces: photos of invented identities, so that a study needs no data."""
    input:
        again("render"),
    output:
        photos=directory(f"{STUDY}/photos"),
    log:
        f"{LOGS}/render.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: 8  # or as many as --cores grants
    params:
        code=code_of("render.py"),
        identities=config["dataset"]["identities"],
        # some to spare: a photo without a detected face is passed over
        photos=config["dataset"]["photos"] + ENROL + config["dataset"].get("own", 0) + 2,
        seed=config["seed"],
        settings=made_with("render"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/render.py "
        "--identities {params.identities} "
        "--photos {params.photos} "
        "--seed {params.seed} "
        "--threads {threads} "
        "--output {output.photos:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
