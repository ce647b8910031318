"""What a config must not say: names that do not exist, keys that need each other, settings that nobody would read.

Every complaint is an InputError of one line that names the key and what would do. Standard library only, for the rule
files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloakbench.errors import InputError
from cloakbench.study.attributes import read_attributes
from cloakbench.study.classes import META, read_classes
from cloakbench.study.keys import KEYS
from cloakbench.study.sources import recognisers, resizable

OWN_GRAPH = ("torch_export", "onnx")  # files that hold the network itself
# what a storage's format reads, and takes without the key
ENCODED = {"jpeg": {"quality": 75, "subsampling": "4:2:0"}, "webp": {"quality": 75}, "png": {}}
TREE = "a folder <root>/<identity>/<photo>"


def require(condition: object, message: str, known: Iterable[str] = ()) -> None:
    if not condition:
        raise InputError(f"config: {message}" + (f"; known: {', '.join(sorted(known))}" if known else ""))


def at(config: Any, *path: str) -> Any:
    """What a config says there: None if nothing."""
    for key in path:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def check(config: Mapping) -> None:
    """Refuse what the schema cannot see: names that do not exist, and keys that need each other. Raises InputError."""
    matrix, dataset = config["matrix"], config["dataset"]
    for key in KEYS:
        for name in matrix.get(key.name, []) if key.catalogues else []:
            known = [entry for catalogue in key.catalogues for entry in config[catalogue]]
            require(name in known, f"matrix.{key.name}: {name!r} is not in {' or '.join(key.catalogues)}", known)
    if chosen := config["statistics"].get("reference"):
        require(
            chosen in matrix["attack"], f"statistics.reference: {chosen!r} is not in matrix.attack", matrix["attack"]
        )
    for name, ensemble in config["ensembles"].items():
        check_ensemble(f"ensembles.{name}", name, ensemble, config)
    if dataset["loader"] != "synthetic":
        require(dataset["root"], f"dataset.root: loader {dataset['loader']} needs {TREE}")
        require(Path(dataset["root"]).is_dir(), f"dataset.root: no folder {dataset['root']!r}; expected {TREE}")
    if "lpips" in config["measures"]:
        check_lpips(config)
    if "attributes" in dataset:
        check_attributes(dataset["attributes"])
    if "draw" in dataset:
        draws = dataset.get("draws", 1)
        require(dataset["draw"] <= draws, f"dataset.draw: {dataset['draw']} is above dataset.draws, {draws}")
    for name in recognisers(config):
        check_model(f"models.{name}", config["models"][name], config)
    for name, crop in config["crops"].items():
        short_side = crop.get("short_side", crop["size"])
        require(short_side >= crop["size"], f"crops.{name}: short_side {short_side} is below size {crop['size']}")
        check_aligned(f"crops.{name}", crop)
    check_enrolment(dataset)
    check_top_k(config)
    check_chunks(config)


def check_lpips(config: Mapping) -> None:
    """LPIPS is a column of quality, and is computed from files that only the user can have."""
    require("quality" in config["measures"], "measures: lpips is a column of quality; add quality, or leave lpips out")
    files = "alexnet (torchvision's weights), heads (weights/v0.1/alex.pth of the package lpips) and the sha256 of both"
    require("lpips" in config, f"measures: lpips needs lpips: {{...}} with its files, {files}")
    for name in ("alexnet", "heads"):
        path = config["lpips"][name]
        require(Path(path).is_file(), f"lpips.{name}: no file {path!r}; lpips takes {files}")


def check_attributes(path: str) -> None:
    """The file can be read; whether it is about anybody who is attacked shows when they are drawn."""
    require(Path(path).is_file(), f"dataset.attributes: no file {path!r}; expected CSV with a column identity or file")
    try:
        read_attributes(Path(path))
    except InputError as error:
        raise InputError(f"config: dataset.attributes: {error}") from None


def check_ensemble(key: str, name: str, ensemble: Mapping, config: Mapping) -> None:
    """Its members are known, and each can look at its canvas."""
    models, crops = config["models"], config["crops"]
    require(name not in models, f"{key}: {name!r} is in models too; give one of them another name")
    for member in ensemble["members"]:
        require(member in models, f"{key}.members: {member!r} is not in models", models)
    seen = {member: models[member]["crop"] for member in ensemble["members"]}
    chosen = ensemble.get("crop", seen[ensemble["members"][0]])
    require(chosen in crops, f"{key}.crop: {chosen!r} is not in crops", crops)
    for member, crop in seen.items():
        fits = crop in crops and resizable(crops[chosen], crops[crop])
        other = f"{member} sees {crop}, which is not {chosen} in another size"
        require(fits, f"{key}: {other}; accepted: members whose crops differ in nothing but size")


def check_aligned(key: str, crop: Mapping) -> None:
    """An aligned crop follows from the face's points alone: what a box is enlarged by or cut from says nothing."""
    if "align" in crop:
        boxed = "short_side" in crop or crop["margin"] > 0
        require(not boxed, f"{key}.align: {crop['align']} takes no margin and no short_side; leave them out")
        whole = crop["align"] != "arcface96" or crop["size"] % 7 == 0
        require(whole, f"{key}.size: {crop['size']}; arcface96 is 6/7 as wide as high, so size is a multiple of 7")


def check_enrolment(dataset: Mapping) -> None:
    """A template of a single photo is a weak opponent; it is meant only where the config says so."""
    enrol, least = dataset["enrol"], dataset.get("enrol_min")
    lonely = "dataset.enrol: 1 makes a gallery with one photo an identity; enrol 2 or more, or set enrol_min: 1 too"
    require(enrol > 1 or least == 1, lonely)
    require(least is None or least <= enrol, f"dataset.enrol_min: {least} is more than dataset.enrol, {enrol}")


def check_model(key: str, model: Mapping, config: Mapping) -> None:
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
        check_classes(key, model, config["dataset"])


def check_classes(key: str, model: Mapping, dataset: Mapping) -> None:
    """A softmax head from outside names its units by a list, or by the data set that it was trained on."""
    if "classes" in model:
        require(Path(model["classes"]).is_file(), f"{key}.classes: no file {model['classes']!r}")
        return
    needed = "a list of identities in the order of the head's units, or head: gallery"
    require(dataset["loader"] == "vggface2", f"{key}.classes: missing; loader {dataset['loader']} needs {needed}")
    unit = "test identities have no unit in a softmax head; use split: train or head: gallery"
    require(dataset["split"] == "train", f"dataset.split: {key}: {unit}")


def check_top_k(config: Mapping) -> None:
    """Refuse a k at which a target would recognise everybody, as far as its identities are known by now: a gallery may
    turn out to have fewer, so `aggregate` looks again."""
    k = max(config["top_k"])
    for name in sorted(config["matrix"]["target"]):
        count, where = identities_of(name, config)
        everybody = f"top_k: {k}, but target {name} names {count} identities ({where}): everybody would be recognised"
        require(count is None or k < count, f"{everybody}; accepted: a k below {count}, or a target that names more")


def identities_of(name: str, config: Mapping) -> tuple[int | None, str]:
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
        raise InputError(f"config: models.{name}.classes: {error}") from None


def check_chunks(config: Mapping) -> None:
    dataset, compute = config["dataset"], config["compute"]
    faces = dataset["subjects"] * dataset["photos"]
    batches = -(-faces // compute["batch"])
    message = f"compute.chunks: {compute['chunks']}, but {faces} faces make {batches} batches of {compute['batch']}"
    require(compute["chunks"] <= batches, f"{message}; at most {batches} accepted")


def check_unused(config: Mapping, shipped: Mapping) -> None:
    """A setting that says one thing of a study that does another; those of config.yaml, `shipped`, are everybody's."""
    for path, reason in unused(config):
        value = at(config, *path)
        would = f"{'.'.join(path)}: {value!r} would not be used ({reason}); remove it"
        require(value is None or value == at(shipped, *path), would)
    tf32 = config["compute"]["precision"] == "tf32" and config["compute"]["device"] == "cpu"
    message = "compute.precision: tf32 would not be used (device cpu has none); accepted: fp32, bf16, or another device"
    require(not tf32, message)


def unused(config: Mapping) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting that this study would not read: where it stands, and why."""
    dataset, models = config["dataset"], config["models"]
    used = {*recognisers(config)} & set(models)
    if dataset["loader"] == "synthetic":
        yield ("dataset", "root"), "loader synthetic renders its photos"
    else:
        yield ("dataset", "identities"), f"loader {dataset['loader']} renders none"
    if dataset["loader"] != "vggface2":
        yield ("dataset", "split"), f"loader {dataset['loader']} has no splits"
    if "properties" not in config["measures"]:
        yield ("dataset", "attributes"), "there are no groups without properties in measures"
    if "lpips" not in config["measures"]:
        yield ("lpips",), "measures has no lpips"
    if "draws" not in dataset:
        yield ("dataset", "draw"), "there is one draw without dataset.draws"
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
        for key in (key for key in ENCODED["jpeg"] if key not in ENCODED[stored["format"]]):
            lossless = "loses nothing" if not ENCODED[stored["format"]] else "always halves its chroma, 4:2:0"
            yield ("storages", name, key), f"{stored['format']} {lossless}"
