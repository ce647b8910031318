# From the faces that detect has found to who is attacked and who enrolled: subjects.csv, enrolment.csv, a row a photo.
# of several draws one is this study's; it is taken out of all of them, so that every one has the same gallery
DRAWN, TAKEN = (f"{STUDY}/drawn", STUDY) if DRAWS > 1 else (STUDY, f"{STUDY}/taken")
PASSED_OVER = f"{LOGS}/passed_over.csv"  # of a job that fails; an output would be removed with it


rule draw:
    """Draw the subjects and the photos to attack and to enrol, each with the face in it."""
    input:
        again("draw"),
        drawn_elsewhere,
        RENDERED,
        expand(rules.detect.output.looked_at, share=SHARES),
    output:
        subjects=f"{DRAWN}/subjects.csv",
        enrolment=f"{STUDY}/enrolment.csv",
    log:
        f"{LOGS}/draw.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
        # not a param: another k draws nobody else; it is a target that has to name more
        largest_k=max(config["top_k"]) if {*TRAINED, *GALLERIES} & {*MATRIX["target"]} else 0,
    params:
        compute=COMPUTE,
        code=code_of("draw.py"),
        loader=config["dataset"]["loader"],
        split=f"--split {config['dataset']['split']}" if config["dataset"]["loader"] == "vggface2" else "",
        subjects=config["dataset"]["subjects"] * DRAWS,
        photos=config["dataset"]["photos"],
        enrol=ENROL,
        enrol_min=ENROL_MIN,
        seed=config["seed"],
        settings=made_with("draw"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/draw.py "
        '--root "$CLOAKBENCH_PHOTOS" '
        "--loader {params.loader} "
        "{params.split} "
        "--subjects {params.subjects} "
        "--photos {params.photos} "
        "--enrol {params.enrol} "
        "--enrol-min {params.enrol_min} "
        f"--faces {KNOWN_FACES} "
        f"--passed-over {PASSED_OVER} "
        "--min-classes {resources.largest_k} "
        "--seed {params.seed} "
        "{params.compute} "
        "--output-subjects {output.subjects:q} "
        "--output-enrolment {output.enrolment:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule one_draw:
    """Take the subjects of one of several draws, which have nobody in common."""
    input:
        again("one_draw"),
        drawn=rules.draw.output.subjects,
    output:
        subjects=f"{TAKEN}/subjects.csv",
    log:
        f"{LOGS}/one_draw.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("one_draw.py"),
        draw=config["dataset"].get("draw", 1),
        of_each=config["dataset"]["subjects"],
        settings=made_with("one_draw"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/one_draw.py "
        "--drawn {input.drawn:q} "
        "--draw {params.draw} "
        "--subjects {params.of_each} "
        "--output {output.subjects:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
