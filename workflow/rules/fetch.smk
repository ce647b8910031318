# Checkpoints with a URL are fetched once into resources/, named by their hash, and serve every study of the directory.
RESOURCES = "resources/weights"


def digest_of(model):
    """The hash that a checkpoint must have: sha256, or md5 where its publisher gives no other; None for any."""
    entry = config["models"][model]
    return entry.get("sha256") or entry.get("md5")


def checkpoint_of(model):
    weights = config["models"][model]["weights"]
    return f"{RESOURCES}/{digest_of(model)}" if "://" in weights else weights


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
        code=code_version("fetch.py"),
        url=lambda wildcards: URLS[wildcards.digest],
    shell:
        "{RUN} {SCRIPTS}/fetch.py --url {params.url:q} --digest {wildcards.digest} --output {output.checkpoint:q} "
        "--log {log:q}"


localrules:
    fetch,
