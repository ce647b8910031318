# The study's config: filled in, checked before anything else happens, and the names that follow from it.
import os
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


CATALOGUES = {"source": "models", "target": "models", "attack": "attacks", "storage": "storages"}
TREE = "a folder <root>/<identity>/<photo>"


def check(config):
    """Refuse what the schema cannot see: names that do not exist, and keys that need each other."""
    matrix, dataset = config["matrix"], config["dataset"]
    for key, catalogue in CATALOGUES.items():
        for name in matrix[key]:
            require(name in config[catalogue], f"matrix.{key}: {name!r} is not in {catalogue}", config[catalogue])
    if dataset["loader"] != "synthetic":
        require(dataset["root"], f"dataset.root: loader {dataset['loader']} needs {TREE}")
        require(Path(dataset["root"]).is_dir(), f"dataset.root: no folder {dataset['root']!r}; expected {TREE}")
    for name in sorted({*matrix["source"], *matrix["target"]}):
        check_model(f"models.{name}", config["models"][name])
    for name, crop in config["crops"].items():
        short_side = crop.get("short_side", crop["size"])
        require(short_side >= crop["size"], f"crops.{name}: short_side {short_side} is below size {crop['size']}")


def check_model(key, model):
    weights, crop = model["weights"], model["crop"]
    require(crop in config["crops"], f"{key}.crop: {crop!r} is not in crops", config["crops"])
    if weights == "trained":
        require(model["head"] == "softmax", f"{key}.head: trained weights have a softmax head, not a gallery")
        return
    if "://" in weights:
        hashed = {"sha256", "md5"} & set(model)
        require(hashed, f"{key}.sha256: missing; weights from a URL need the hash of the file")
    else:
        require(Path(weights).is_file(), f"{key}.weights: no file {weights!r}; expected a path, a URL or trained")
    if model["head"] == "softmax":
        check_classes(key, model)


def check_classes(key, model):
    """A softmax head from outside names its units by a list, or by the data set that it was trained on."""
    dataset = config["dataset"]
    if "classes" in model:
        require(Path(model["classes"]).is_file(), f"{key}.classes: no file {model['classes']!r}")
        return
    needed = "a list of identities in the order of the head's units, or head: gallery"
    require(dataset["loader"] == "vggface2", f"{key}.classes: missing; loader {dataset['loader']} needs {needed}")
    unit = "test identities have no unit in a softmax head; use split: train or head: gallery"
    require(dataset["split"] == "train", f"dataset.split: {key}: {unit}")


def check_chunks(config):
    dataset, compute = config["dataset"], config["compute"]
    faces = dataset["subjects"] * dataset["photos"]
    batches = -(-faces // compute["batch"])
    message = f"compute.chunks: {compute['chunks']}, but {faces} faces make {batches} batches of {compute['batch']}"
    require(compute["chunks"] <= batches, f"{message}; at most {batches} accepted")


fill_and_check(config)
check(config)
check_chunks(config)

STUDY = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
MATRIX = config["matrix"]
BUDGETS = sorted(MATRIX["eps"])
MODELS = sorted({*MATRIX["source"], *MATRIX["target"]})
CROPS = sorted({config["models"][model]["crop"] for model in MODELS})
TRAINED = [model for model in MODELS if config["models"][model]["weights"] == "trained"]
FETCHED = [model for model in MODELS if "://" in config["models"][model]["weights"]]
GALLERIES = [model for model in MODELS if config["models"][model]["head"] == "gallery"]
ENROL = config["dataset"]["enrol"] if TRAINED or GALLERIES else 0
PHOTOS = f"{STUDY}/photos" if config["dataset"]["loader"] == "synthetic" else config["dataset"]["root"]
ATTACKED = config["dataset"]["subjects"] * config["dataset"]["photos"]  # faces
BATCHES = -(-ATTACKED // config["compute"]["batch"])
# the parts that a cell's faces are computed in, and their place in a path; without parts a cell is one file
PARTS = {"part": range(config["compute"]["chunks"])} if config["compute"]["chunks"] > 1 else {}
PART = f"{os.sep}part{{part}}" if PARTS else ""
FACES = f"{STUDY}/subjects/{{crop}}{PART}.npy"
CELLS = f"{STUDY}/ranks/{{source}}/{{attack}}/eps{{eps}}/{{storage}}/{{target}}.csv"
