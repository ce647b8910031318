# The study's config: filled in, checked before anything else happens, and the names that follow from it.
import json
import math
import os
import sys
from pathlib import Path

import yaml  # Snakemake's own
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# the parts of the library that are imported while the workflow is parsed need the standard library alone
sys.path.insert(0, f"{workflow.basedir}/workflow/lib")
from cloakbench.datasets import META, read_classes
from cloakbench.errors import InputError


def refuse(message):
    """End with one line: what is wrong and what would do."""
    raise SystemExit(f"cloakbench: config: {message}")


def require(condition, message, known=()):
    if not condition:
        refuse(message + (f"; known: {', '.join(sorted(known))}" if known else ""))


class EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that has a key twice: YAML lets the last one win, and of two models of one name one is lost."""

    def construct_mapping(self, node, deep=False):
        lines = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            again = f"{self.name}, line {line}: {name!r} is there already, on line {lines.get(name)}"
            require(name not in lines, again)
            lines[name] = line
        return super().construct_mapping(node, deep)


def check_keys(path):
    """Refuse a config file, YAML or JSON, that has a key twice in one mapping."""

    def unique(pairs):
        for name, _ in pairs:
            require([key for key, _ in pairs].count(name) == 1, f"{path}: {name!r} is there twice in one mapping")

    try:
        json.loads(Path(path).read_text(), object_pairs_hook=unique)
    except json.JSONDecodeError:
        with Path(path).open() as file:
            yaml.load(file, EachKeyOnce)


def plain(key, value):
    """The value with whole numbers as such: in a path 4.0 would be another budget than 4."""
    if isinstance(value, dict):
        return {name: plain(f"{key}.{name}".lstrip("."), part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(f"{key}[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, float):
        require(math.isfinite(value), f"{key}: {value} is not a number to compute with")
        return int(value) if value.is_integer() else value
    return value


def fill_and_check(config):
    """Fill in the schema's defaults and refuse what it does not allow."""
    config.update(plain("", config))
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


def inherited(*path):
    """What config.yaml, over which every study is laid, says there: None if nothing."""
    value = SHIPPED
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def unused(config):
    """Every setting that this study would not read: where it stands, and why."""
    dataset, models = config["dataset"], config["models"]
    used = {*config["matrix"]["source"], *config["matrix"]["target"]} & set(models)
    if dataset["loader"] == "synthetic":
        yield ("dataset", "root"), "loader synthetic renders its photos"
    else:
        yield ("dataset", "identities"), f"loader {dataset['loader']} renders none"
    if dataset["loader"] != "vggface2":
        yield ("dataset", "split"), f"loader {dataset['loader']} has no splits"
    if not any(models[name]["head"] == "gallery" or models[name]["weights"] == "trained" for name in used):
        for key in ("enrol", "enrol_min"):
            yield ("dataset", key), "there is no gallery and nothing is trained"
    for name in sorted(used):
        gallery, trained = models[name]["head"] == "gallery", models[name]["weights"] == "trained"
        if trained:
            for key in ("sha256", "md5", "member", "classes"):
                yield ("models", name, key), "weights trained come from no file"
        if gallery:
            yield ("models", name, "classes"), "a gallery names the identities that are enrolled"
        else:
            yield ("models", name, "scale"), "a softmax head has no cosines"
        if "sha256" in models[name]:
            yield ("models", name, "md5"), "sha256 is checked"
    for name, stored in config["storages"].items():
        if stored["format"] != "jpeg":
            for key in ("quality", "subsampling"):
                yield ("storages", name, key), f"{stored['format']} loses nothing"


def check_unused(config):
    """A setting that says one thing of a study that does another; config.yaml's own are everybody's."""
    for path, reason in unused(config):
        value = config
        for key in path:
            value = value.get(key)
        if value is not None and value != inherited(*path):
            refuse(f"{'.'.join(path)}: {value!r} would not be used ({reason}); remove it")
    if config["compute"]["precision"] == "tf32" and config["compute"]["device"] == "cpu":
        refuse(
            "compute.precision: tf32 would not be used (device cpu has none); accepted: fp32, bf16, or another device"
        )


def fill_where_read(config):
    """The defaults of what only some studies read."""
    dataset = config["dataset"]
    dataset.setdefault("enrol", 10)
    if dataset["loader"] == "synthetic":
        dataset.setdefault("identities", 64)
    if dataset["loader"] == "vggface2":
        dataset.setdefault("split", "train")
    for stored in config["storages"].values():
        if stored["format"] == "jpeg":
            stored.setdefault("quality", 75)
            stored.setdefault("subsampling", "4:2:0")
    for model in config["models"].values():
        if model["head"] == "gallery":
            model.setdefault("scale", 32)


CATALOGUES = {"source": "models", "target": "models", "attack": "attacks", "storage": "storages"}
OWN_GRAPH = ("torchscript", "torch_export", "onnx")  # files that hold the network itself
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
        check_aligned(f"crops.{name}", crop)


def check_aligned(key, crop):
    """An aligned crop follows from the face's points alone: what a box is enlarged by or cut from says nothing."""
    if "align" in crop:
        boxed = "short_side" in crop or crop["margin"] > 0
        require(not boxed, f"{key}.align: {crop['align']} takes no margin and no short_side; leave them out")
        whole = crop["align"] != "arcface96" or crop["size"] % 7 == 0
        require(whole, f"{key}.size: {crop['size']}; arcface96 is 6/7 as wide as high, so size is a multiple of 7")


def check_enrolment(dataset):
    """A template of a single photo is a weak opponent; it is meant only where the config says so."""
    enrol, least = dataset["enrol"], dataset.get("enrol_min")
    lonely = "dataset.enrol: 1 makes a gallery with one photo an identity; enrol 2 or more, or set enrol_min: 1 too"
    require(enrol > 1 or least == 1, lonely)
    require(least is None or least <= enrol, f"dataset.enrol_min: {least} is more than dataset.enrol, {enrol}")


def check_model(key, model):
    weights, crop = model["weights"], model["crop"]
    require(crop in config["crops"], f"{key}.crop: {crop!r} is not in crops", config["crops"])
    if model["arch"] in OWN_GRAPH:
        require(weights != "trained", f"{key}.weights: {model['arch']} is a file that holds the network, not trained")
        require("member" not in model, f"{key}.member: {model['arch']} is a single file, no archive of checkpoints")
    spread = model["std"] if isinstance(model["std"], list) else [model["std"]]
    require(min(spread) > 0, f"{key}.std: {model['std']}; grey levels are divided by it, so it has to be above 0")
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


def check_top_k(config):
    """Refuse a k at which a target would recognise everybody, as far as its identities are known by now: a gallery may
    turn out to have fewer, so `aggregate` looks again."""
    k = max(config["top_k"])
    for name in sorted(config["matrix"]["target"]):
        count, where = identities_of(name, config)
        everybody = f"top_k: {k}, but target {name} names {count} identities ({where}): everybody would be recognised"
        require(count is None or k < count, f"{everybody}; accepted: a k below {count}, or a target that names more")


def identities_of(name, config):
    """How many identities a recogniser can name, at most, and what says so; None where only the photos tell."""
    model, dataset = config["models"][name], config["dataset"]
    if model["weights"] == "trained" or model["head"] == "gallery":
        return dataset.get("identities") if dataset["loader"] == "synthetic" else None, "dataset.identities"
    file = model.get("classes") or f"{dataset['root']}/{META}"
    if not Path(file).is_file():  # then they are VGGFace2's folders
        return None, file
    try:
        return len(read_classes(Path(file))), file
    except InputError as error:
        refuse(f"models.{name}.classes: {error}")


def check_chunks(config):
    dataset, compute = config["dataset"], config["compute"]
    faces = dataset["subjects"] * dataset["photos"]
    batches = -(-faces // compute["batch"])
    message = f"compute.chunks: {compute['chunks']}, but {faces} faces make {batches} batches of {compute['batch']}"
    require(compute["chunks"] <= batches, f"{message}; at most {batches} accepted")


for path in workflow.configfiles:
    check_keys(path)
SHIPPED = yaml.safe_load(Path(workflow.basedir, "config.yaml").read_text())
fill_and_check(config)
MEASURED = config.pop("benchmark")  # no part of a study: it is in no job's params and not in provenance.json
check_unused(config)
fill_where_read(config)
check(config)
check_enrolment(config["dataset"])
check_top_k(config)
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
ENROL_MIN = config["dataset"].get("enrol_min", ENROL) if ENROL else 0
PHOTOS = f"{STUDY}/photos" if config["dataset"]["loader"] == "synthetic" else config["dataset"]["root"]
ATTACKED = config["dataset"]["subjects"] * config["dataset"]["photos"]  # faces
BATCHES = -(-ATTACKED // config["compute"]["batch"])
# the parts that a cell's faces are computed in, and their place in a path; without parts a cell is one file
PARTS = {"part": range(config["compute"]["chunks"])} if config["compute"]["chunks"] > 1 else {}
PART = f"{os.sep}part{{part}}" if PARTS else ""
FACES = f"{STUDY}/subjects/{{crop}}{PART}.npy"
CELLS = f"{STUDY}/ranks/{{source}}/{{attack}}/eps{{eps}}/{{storage}}/{{target}}.csv"
