rule crop:
    """The attacked faces as the recognisers of one crop kind want them."""
    input:
        again("crop"),
        RENDERED,
        photos=f"{STUDY}/subjects.csv",
    output:
        faces=FACES,
    log:
        f"{LOGS}/crop/subjects/{{crop}}{PART}.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("crop.py"),
        crop=lambda wildcards: json.dumps(config["crops"][wildcards.crop]),
        part=part_option,
        settings=made_with("crop"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/crop.py "
        '--photos {input.photos:q} --root "$CLOAKBENCH_PHOTOS" --crop {params.crop:q} '
        "{params.part} --output {output.faces:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


use rule crop as crop_enrolled with:
    input:
        again("crop_enrolled"),
        RENDERED,
        photos=f"{STUDY}/enrolment.csv",
    output:
        faces=f"{STUDY}/enrolment/{{crop}}.npy",
    log:
        f"{LOGS}/crop/enrolment/{{crop}}.log",
