# The study's config: filled in, checked before anything else happens, and the names that follow from it.
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate


def refuse(message):
    """End with one line: what is wrong and what would do."""
    raise SystemExit(f"cloakbench: config: {message}")


def require(condition, message, known=()):
    if not condition:
        refuse(message + (f"; known: {', '.join(sorted(known))}" if known else ""))


def fill_and_check(config):
    """Fill in the schema's defaults and refuse what it does not allow."""
    try:
        validate(config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml")
    except WorkflowError as error:
        fault = error.__context__  # jsonschema's own ValidationError
        where, message = (
            fault.json_path.removeprefix("$").lstrip(".") or "top level",
            fault.message,
        )
        if fault.validator == "additionalProperties":
            require(False, f"{where}: {message}", fault.schema["properties"])
        refuse(f"{where}: {message}; {fault.schema.get('description', '')}".rstrip("; "))


def check(config):
    """Refuse what the schema cannot see: names that do not exist, and keys that need each other."""
    matrix, dataset = config["matrix"], config["dataset"]
    for key, catalogue in {
        "source": "models",
        "target": "models",
        "attack": "attacks",
        "storage": "storages",
    }.items():
        for name in matrix[key]:
            require(
                name in config[catalogue],
                f"matrix.{key}: {name!r} is not in {catalogue}",
                config[catalogue],
            )
    for name in {*matrix["source"], *matrix["target"]}:
        check_model(f"models.{name}", config["models"][name])
    for name, crop in config["crops"].items():
        short_side = crop.get("short_side", crop["size"])
        require(
            short_side >= crop["size"],
            f"crops.{name}: short_side {short_side} is below size {crop['size']}",
        )
    if dataset["loader"] != "synthetic":
        expected = "a folder <root>/<identity>/<photo>"
        require(
            dataset["root"],
            f"dataset.root: loader {dataset['loader']} needs {expected}",
        )
        require(
            Path(dataset["root"]).is_dir(),
            f"dataset.root: no folder {dataset['root']!r}; expected {expected}",
        )


def check_model(key, model):
    weights = model["weights"]
    require(
        model["crop"] in config["crops"],
        f"{key}.crop: {model['crop']!r} is not in crops",
        config["crops"],
    )
    if weights == "trained":
        require(
            model["head"] == "softmax",
            f"{key}.head: trained weights have a softmax head, not a gallery",
        )
    elif "://" in weights:
        require(
            "sha256" in model,
            f"{key}.sha256: missing; weights from a URL need the hash of the file",
        )
    else:
        require(
            Path(weights).is_file(),
            f"{key}.weights: no file {weights!r}; expected a path, a URL or trained",
        )


fill_and_check(config)
check(config)

STUDY = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
MATRIX = config["matrix"]
BUDGETS = sorted(MATRIX["eps"])
MODELS = sorted({*MATRIX["source"], *MATRIX["target"]})
CROPS = sorted({config["models"][model]["crop"] for model in MODELS})
TRAINED = [model for model in MODELS if config["models"][model]["weights"] == "trained"]
GALLERIES = [model for model in MODELS if config["models"][model]["head"] == "gallery"]
ENROL = config["dataset"]["enrol"] if TRAINED or GALLERIES else 0
PHOTOS = f"{STUDY}/photos" if config["dataset"]["loader"] == "synthetic" else config["dataset"]["root"]
