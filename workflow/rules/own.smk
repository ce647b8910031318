# From what was drawn to further photographs of the attacked people, and to a template of each in a source's eyes: for
# attacks of somebody who has photographs of himself and does not know the gallery. Made where an attack asks for it.
OWN = config["dataset"].get("own", 0)


rule own:
    """Find further photographs of the attacked people, neither attacked nor enrolled."""
    input:
        again("own"),
        RENDERED,
        subjects=f"{STUDY}/subjects.csv",
        enrolment=f"{STUDY}/enrolment.csv",
    output:
        photos=f"{STUDY}/own.csv",
    log:
        f"{LOGS}/own.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    resources:
        gpu=GPU,
        gpu_mem_mb=GPU_MEMORY,
    params:
        compute=COMPUTE,
        code=code_of("own.py"),
        loader=config["dataset"]["loader"],
        split=f"--split {config['dataset']['split']}" if config["dataset"]["loader"] == "vggface2" else "",
        wanted=OWN,
        seed=config["seed"],
        settings=made_with("own"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/own.py "
        '--root "$CLOAKBENCH_PHOTOS" '
        "--loader {params.loader} "
        "{params.split} "
        "--subjects {input.subjects:q} "
        "--enrolment {input.enrolment:q} "
        "--count {params.wanted} "
        "--seed {params.seed} "
        f"--faces {KNOWN_FACES} "
        "--output {output.photos:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


use rule crop as crop_own with:
    input:
        again("crop_own"),
        RENDERED,
        photos=rules.own.output.photos,
    output:
        faces=f"{STUDY}/own/{{crop}}.npy",
    log:
        f"{LOGS}/crop/own/{{crop}}.log",


use rule enrol as enrol_own with:
    input:
        again("enrol_own"),
        photos=rules.own.output.photos,
        faces=lambda wildcards: f"{STUDY}/own/{crop_of(wildcards.model)}.npy",
        weights=f"{STUDY}/weights/{{model}}.safetensors",
    output:
        gallery=f"{STUDY}/own/{{model}}.safetensors",
    log:
        f"{LOGS}/enrol/own/{{model}}.log",
