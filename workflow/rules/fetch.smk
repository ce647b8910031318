# Checkpoints with a URL are fetched once into resources/, named by their hash, and serve every study of the directory.


URLS = {digest_of(model): config["models"][model]["weights"] for model in FETCHED}


rule fetch:
    """Fetch a checkpoint and check its hash; a failure leaves no file that looks complete."""
    output:
        checkpoint=f"{RESOURCES}/{{digest}}",
    log:
        "logs/fetch/{digest}.log",
    wildcard_constraints:
        digest="|".join(URLS) or "none",
    priority: 20
    conda:
        "../../envs/cloakbench.yaml"
    params:
        code=code_of("fetch.py"),
        url=lambda wildcards: URLS[wildcards.digest],
    shell:
        "{JOB}/fetch.py "
        "--url {params.url:q} --digest {wildcards.digest} --output {output.checkpoint:q} "
        "--log {log:q}"


localrules:
    fetch,
