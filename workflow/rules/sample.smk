# photos that a rule renders are made first, and again where they were deleted and are needed; a user's own are a param,
# for they are no output of the study
RENDERED = rules.render.output if config["dataset"]["loader"] == "synthetic" else []


rule sample:
    """Draw the subjects and the photos to attack and to enrol; find the face in each."""
    input:
        again("sample"),
        RENDERED,
    output:
        subjects=f"{STUDY}/subjects.csv",
        enrolment=f"{STUDY}/enrolment.csv",
    log:
        f"{LOGS}/sample.log",
    conda:
        "../../envs/cloakbench.yaml"
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
        # not a param: another k draws nobody else; it is a target that has to name more
        largest_k=max(config["top_k"]) if {*TRAINED, *GALLERIES} & {*MATRIX["target"]} else 0,
    params:
        compute=COMPUTE,
        code=code_of("sample.py"),
        root=lambda wildcards: PHOTOS,
        loader=config["dataset"]["loader"],
        split=f"--split {config['dataset']['split']}" if config["dataset"]["loader"] == "vggface2" else "",
        subjects=config["dataset"]["subjects"],
        photos=config["dataset"]["photos"],
        enrol=ENROL,
        enrol_min=ENROL_MIN,
        seed=config["seed"],
        settings=made_with("sample"),
    shell:
        "{JOB}/sample.py "
        "--root {params.root:q} --loader {params.loader} {params.split} --subjects {params.subjects} "
        "--photos {params.photos} --enrol {params.enrol} --enrol-min {params.enrol_min} "
        "--min-classes {resources.largest_k} --seed {params.seed} "
        "--output-subjects {output.subjects:q} --output-enrolment {output.enrolment:q} {params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


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
        folder=lambda wildcards: PHOTOS,
        crop=lambda wildcards: json.dumps(config["crops"][wildcards.crop]),
        part=part_option,
        settings=made_with("crop"),
    shell:
        "{JOB}/crop.py "
        "--photos {input.photos:q} --root {params.folder:q} --crop {params.crop:q} "
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
