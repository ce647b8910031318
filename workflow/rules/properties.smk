# From the photographs, and what targets have put out for them, to properties of the faces; with a user's attributes and
# the ranks of all cells to groups.csv, a row a cell and group of faces. Judgements on the CPU that run no network.
PROPERTIES = "properties" in config["measures"]
ATTRIBUTES = config["dataset"].get("attributes")
# where the file lies is no param: one that has moved repeats nothing
os.environ.update(CLOAKBENCH_ATTRIBUTES=str(ATTRIBUTES))


rule margins:
    """How much better a target knows each clean face's own person than anybody else."""
    input:
        again("margins"),
        unpack(lambda wildcards: model_files(wildcards.model)),
        subjects=f"{STUDY}/subjects.csv",
        faces=every_clean_face,
        outputs=rules.look_at_photos.output.outputs,
    output:
        margins=f"{STUDY}/margins/{{model}}.csv",
    log:
        f"{LOGS}/margins/{{model}}.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        compute=JUDGING,
        code=code_of("margins.py"),
        model=lambda wildcards: model_facts(wildcards.model, "arch", "head"),
        gallery=gallery_option,
        looked=looked_with("look_at_photos"),
        settings=made_with("margins"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/margins.py "
        "--name {wildcards.model} "
        "--subjects {input.subjects:q} "
        "--faces {input.faces:q} "
        "--outputs {input.outputs:q} "
        "--weights {input.weights:q} "
        "{params.gallery} "
        "--model {params.model:q} "
        "--output {output.margins:q} "
        "{params.compute} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule properties:
    """What tells the clean faces apart: size, light, sharpness, pose, and how well each target knows them."""
    input:
        again("properties"),
        RENDERED,
        subjects=f"{STUDY}/subjects.csv",
        margins=expand(rules.margins.output.margins, model=MATRIX["target"]),
    output:
        properties=f"{STUDY}/properties.csv",
    log:
        f"{LOGS}/properties.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("properties.py"),
        shown_to=json.dumps(MATRIX["target"]),
        settings=made_with("properties"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/properties.py "
        "--subjects {input.subjects:q} "
        '--root "$CLOAKBENCH_PHOTOS" '
        "--margins {input.margins:q} "
        "--output {output.properties:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule attributes:
    """Find the attacked faces in the user's file, which is known by its content."""
    input:
        again("attributes"),
        subjects=f"{STUDY}/subjects.csv",
    output:
        attributes=f"{STUDY}/attributes.csv",
    log:
        f"{LOGS}/attributes.log",
    priority: 10  # what may be wrong with a file shows before the long work
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("attributes.py"),
        content=content(ATTRIBUTES) if ATTRIBUTES else "",
        settings=made_with("attributes"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/attributes.py "
        '--given "$CLOAKBENCH_ATTRIBUTES" '
        "--subjects {input.subjects:q} "
        "--output {output.attributes:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"


rule groups:
    """Whether cloaks protect all faces alike: by thirds of each property, and by each attribute."""
    input:
        again("groups"),
        every_cell(RANKS, "classify"),
        properties=rules.properties.output.properties,
        attributes=rules.attributes.output.attributes if ATTRIBUTES else [],
    output:
        groups=f"{STUDY}/groups.csv",
    log:
        f"{LOGS}/groups.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("groups.py"),
        folder=lambda wildcards: STUDY,
        grouped=json.dumps(of_groups(config), sort_keys=True),
        settings=made_with("groups"),
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/groups.py "
        "--study {params.folder:q} "
        "--config {params.grouped:q} "
        "--output {output.groups:q} "
        "\\\n--settings {params.settings:q} --log {log:q}"
