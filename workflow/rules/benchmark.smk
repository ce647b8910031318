# `snakemake --cores all benchmark`: how fast and how large, measured. No part of a study, and nothing is computed for it
# while a study is parsed: what costs time is asked for by the jobs alone.
BENCHMARK = "results/benchmark"
NETWORKS = MEASURED["networks"]
# one after another, for they time the whole machine; crafting takes turns within its job and needs no such care
WHOLE_MACHINE = os.cpu_count()  # or as many as --cores grants


rule benchmark:
    """All measurements on one page."""
    input:
        f"{BENCHMARK}/benchmark.md",


rule benchmark_craft:
    """Crafting on a full-size network, beside other libraries and a bare gradient loop."""
    output:
        csv=f"{BENCHMARK}/craft_{{network}}.csv",
    log:
        "logs/benchmark/craft_{network}.log",
    wildcard_constraints:
        network="|".join(NETWORKS),
    conda:
        "../../envs/cloakbench.yaml"
    threads: config["compute"]["threads"]
    params:
        code=code_of("benchmarks/craft.py"),
        model=lambda wildcards: json.dumps(NETWORKS[wildcards.network]),
        repetitions=MEASURED["repetitions"],
        threads=config["compute"]["threads"],
        batch=config["compute"]["batch"],
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/craft.py --model {params.model:q} --repetitions {params.repetitions} "
        "--output {output.csv:q} --threads {params.threads} --batch {params.batch} --log {log:q}"


rule benchmark_overhead:
    """A study by Snakemake against the same commands in one process."""
    output:
        csv=f"{BENCHMARK}/overhead.csv",
    log:
        "logs/benchmark/overhead.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: WHOLE_MACHINE
    params:
        code=code_of("benchmarks/overhead.py"),
        snakefile=lambda wildcards: f"{workflow.basedir}/Snakefile",
        config=lambda wildcards: json.dumps(config),
        changes=json.dumps(MEASURED["overhead"]),
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/overhead.py --snakefile {params.snakefile:q} --config {params.config:q} "
        "--changes {params.changes:q} --cores {threads} --output {output.csv:q} --log {log:q}"


rule benchmark_startup:
    """The start of a job, plain and warm."""
    output:
        csv=f"{BENCHMARK}/startup.csv",
    log:
        "logs/benchmark/startup.log",
    conda:
        "../../envs/cloakbench.yaml"
    threads: WHOLE_MACHINE
    params:
        code=code_of("benchmarks/startup.py"),
        repetitions=MEASURED["starts"],
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/startup.py --repetitions {params.repetitions} --output {output.csv:q} "
        "--log {log:q}"


rule benchmark_memory:
    """Peak memory of every stage's job against N."""
    output:
        csv=f"{BENCHMARK}/memory.csv",
    log:
        "logs/benchmark/memory.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("benchmarks/memory.py"),
        faces=MEASURED["memory_faces"],
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/memory.py --faces {params.faces} --output {output.csv:q} --log {log:q}"


rule benchmark_sampling:
    """Drawing subjects from a tree of the size of VGGFace2."""
    output:
        csv=f"{BENCHMARK}/sampling.csv",
    log:
        "logs/benchmark/sampling.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("benchmarks/sampling.py"),
        tree=lambda wildcards: "--folders {folders} --photos {photos} --subjects {subjects}".format(**MEASURED["tree"]),
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/sampling.py {params.tree} --output {output.csv:q} --log {log:q}"


rule benchmark_page:
    """Tables, and the page that explains them."""
    input:
        expand(rules.benchmark_craft.output.csv, network=NETWORKS),
        rules.benchmark_overhead.output.csv,
        rules.benchmark_startup.output.csv,
        rules.benchmark_memory.output.csv,
        rules.benchmark_sampling.output.csv,
    output:
        page=f"{BENCHMARK}/benchmark.md",
    log:
        "logs/benchmark/page.log",
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("benchmarks/page.py"),
        folder=lambda wildcards, output: Path(output.page).parent,
        about=lambda wildcards: json.dumps(
            {key: MEASURED[key] for key in ("repetitions", "networks")}
            | {key: config["compute"][key] for key in ("threads", "batch")}
            | {"study": f"Study {config['study']} with {json.dumps(MEASURED['overhead'])}"}
        ),
    shell:
        "$CLOAKBENCH_PYTHON $CLOAKBENCH_SCRIPTS/benchmarks/page.py --measurements {params.folder:q} --about {params.about:q} "
        "--output {output.page:q} --log {log:q}"
