# Faces are found once: what was found in a photo is kept outside of any study, by the photo's content, so that another
# seed or N looks only at photos that nobody has looked at. A share of the identities is a job.
from cloakbench.study.grid import shares

KNOWN_FACES = "resources/faces"
SHARES = range(shares(config["dataset"]["subjects"]))
# Where the photographs lie is told by a variable, for a param or text would make all anew when they have moved.
os.environ.update(CLOAKBENCH_PHOTOS=PHOTOS)
# photos that a rule renders are made first, and again where they were deleted and are needed; a user's own are no
# output of the study
RENDERED = rules.render.output if config["dataset"]["loader"] == "synthetic" else []


rule detect:
    """Find the faces of one share of the photos that will be drawn from."""
    input:
        again("detect"),
        RENDERED,
    output:
        looked_at=f"{STUDY}/detected/{{share}}.csv",
    log:
        f"{LOGS}/detect/{{share}}.log",
    wildcard_constraints:
        share=r"\d+",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("detect.py"),
        loader=config["dataset"]["loader"],
        split=f"--split {config['dataset']['split']}" if config["dataset"]["loader"] == "vggface2" else "",
        subjects=config["dataset"]["subjects"] * DRAWS,
        photos=config["dataset"]["photos"],
        enrol=ENROL,
        enrol_min=ENROL_MIN,
        seed=config["seed"],
        settings=made_with("detect"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/detect.py "
        '--root "$CLOAKBENCH_PHOTOS" '
        "--loader {params.loader} "
        "{params.split} "
        "--subjects {params.subjects} "
        "--photos {params.photos} "
        "--enrol {params.enrol} "
        "--enrol-min {params.enrol_min} "
        f"--faces {KNOWN_FACES} "
        f"--share {{wildcards.share}}/{SHARES.stop} "
        "--seed {params.seed} "
        "--output {output.looked_at:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"
