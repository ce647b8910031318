# From drawn photographs to faces: (N, height, width, 3) uint8, cut as the recognisers of one crop kind want them.
rule crop:
    """The faces of one role's photographs on one canvas."""
    input:
        again("crop"),
        RENDERED,
        photos=f"{STUDY}/{{photos}}.csv",
    output:
        faces=FACES,
    log:
        f"{LOGS}/crop/{{photos}}/{{crop}}{PART}.log",
    wildcard_constraints:
        photos="|".join(PHOTOS_OF.values()),
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("crop.py"),
        crop=lambda wildcards: json.dumps(config["crops"][wildcards.crop]),
        part=part_option,
        settings=made_with("crop"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/crop.py "
        "--photos {input.photos:q} "
        '--root "$CLOAKBENCH_PHOTOS" '
        "--crop {params.crop:q} "
        "{params.part} "
        "--output {output.faces:q} "
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


rule enrolled:
    """The photographs that the attacked people have in the gallery, to be cloaked too."""
    input:
        again("enrolled"),
        subjects=f"{STUDY}/subjects.csv",
        enrolment=f"{STUDY}/enrolment.csv",
    output:
        photos=f"{STUDY}/enrolled.csv",
    log:
        f"{LOGS}/enrolled.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("enrolled.py"),
        settings=made_with("enrolled"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/enrolled.py "
        "--subjects {input.subjects:q} "
        "--enrolment {input.enrolment:q} "
        "--output {output.photos:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
