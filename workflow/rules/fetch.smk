# Checkpoints with a URL are fetched once into resources/, named by their hash, and serve every study of the directory.


URLS = {digest_of(model): config["models"][model]["weights"] for model in FETCHED}


rule fetch:
    """Fetch a checkpoint and check its hash; a failure leaves no file, and one that is right stays."""
    output:
        checkpoint=update(f"{RESOURCES}/{{digest}}"),
    log:
        "logs/fetch/{digest}.log",
    wildcard_constraints:
        digest="|".join(URLS) or "none",
    priority: 20
    retries: 3  # networks fail in passing
    localrule: True  # on the machine that has a network
    conda:
        "../../envs/cloakbench.yaml"
    resources:
        # no param, nor the code: the digest in its name says what the file holds, so nothing else makes it again
        url=lambda wildcards: URLS[wildcards.digest],
    shell:
        "$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/fetch.py "
        "--url {resources.url:q} "
        "--digest {wildcards.digest} "
        "--output {output.checkpoint:q} "
        "--log {log:q} "
