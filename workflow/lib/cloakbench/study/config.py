"""The config of a study: read as it was meant, filled in, and checked before anything else happens.

Every complaint is an InputError of one line that names the key and what would do. Needs the standard library and what
Snakemake itself needs (PyYAML, jsonschema), for the rule files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from cloakbench.study.checks import ENCODED, at, check, check_unused, require
from cloakbench.study.keys import DEFAULTS

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it is
load_yaml = partial(yaml.load, Loader=LOADER)
FAMILY = ".schema.yaml"  # how the names of the schemas of attacks' families end


def complete(config: dict, files: Iterable[Path], shipped: Path, schema: Path, catalogue: Path) -> None:
    """Fill in `config`, as the files and the command line have laid it over `shipped`. files: those that were laid over
    it; catalogue: attacks that it may name. Raises InputError.
    """
    for path in files:
        check_keys(path)
    require("benchmark" not in config, "benchmark: is no part of a study; it has moved to benchmarks/config.yaml")
    families = {path.name.removesuffix(FAMILY): path for path in (schema.parent / "attacks").glob(f"*{FAMILY}")}
    meant(config, with_families(load_yaml(schema.read_text()), families.values()))
    refuse_torchscript(config.get("models"))
    add_attacks(config, load_yaml(catalogue.read_text()))
    config.update(plain("", config))
    fill_and_check(config, schema)
    for name, entry in config["attacks"].items():
        require(entry["family"] in families, f"attacks.{name}.family: {entry['family']!r} is none", families)
        fill_and_check(entry, families[entry["family"]], f"attacks.{name}")
    check_unused(config, load_yaml(shipped.read_text()))
    fill_where_read(config)
    check(config)


def add_attacks(config: dict, catalogue: Mapping[str, Mapping]) -> None:
    """Add those attacks of the catalogue that the study names; an entry of its own is laid over the catalogue's."""
    own = config.setdefault("attacks", {})
    asked = at(config, "matrix", "attack")
    if not isinstance(own, dict) or not isinstance(asked, list):
        return  # the schema says what is wrong
    for name in asked:
        require(name in own or name in catalogue, f"matrix.attack: {name!r} is none", {*own, *catalogue})
    for name in [name for name in catalogue if name in {*asked, *own}]:
        entry = own.get(name, {})
        if isinstance(entry, dict):
            other = entry.get("family", catalogue[name]["family"]) != catalogue[name]["family"]
            own[name] = entry if other else {**catalogue[name], **entry}


def refuse_torchscript(models: Any) -> None:
    """PyTorch has given TorchScript up; whoever has such a network can write it in the form that took its place."""
    for name, model in models.items() if isinstance(models, Mapping) else ():
        refused = isinstance(model, Mapping) and model.get("arch") == "torchscript"
        export = "torch.export.export(model.eval(), (torch.zeros(1, 3, SIZE, SIZE),))"
        anew = f"export the network anew, torch.export.save({export}, 'model.pt2'), and use arch: torch_export"
        require(not refused, f"models.{name}.arch: torchscript is no longer read; {anew}")


class EachKeyOnce(LOADER):
    """Refuses a mapping that has a key twice: YAML lets the last one win, and of two models of one name one is lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            again = f"{key.start_mark.name}, line {line}: {name!r} is there already, on line {lines.get(name)}"
            require(name not in lines, again)
            lines[name] = line
        return super().construct_mapping(node, deep)


def check_keys(path: Path) -> None:
    """Refuse a config file, YAML or JSON, that has a key twice in one mapping."""

    def unique(pairs: list[tuple[str, Any]]) -> None:
        for name, _ in pairs:
            require([key for key, _ in pairs].count(name) == 1, f"{path}: {name!r} is there twice in one mapping")

    try:
        json.loads(Path(path).read_text(), object_pairs_hook=unique)
    except json.JSONDecodeError:
        with Path(path).open() as file:
            yaml.load(file, EachKeyOnce)


def meant(config: dict, schema: Mapping) -> None:
    """Read what came as text, as all within --config 'key={...}' does, as if it stood in a file: where the schema wants
    no text it is YAML."""

    def kinds(part: Mapping) -> set[str]:
        part = resolved(part)
        named = part.get("type", [])
        found = {named} if isinstance(named, str) else set(named)
        found |= {"string" if isinstance(value, str) else "other" for value in part.get("enum", [])}
        return found.union(*(kinds(option) for option in (*part.get("anyOf", []), *part.get("oneOf", []))))

    def resolved(part: Mapping) -> Mapping:
        return schema["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part

    def read(value: Any, part: Mapping) -> Any:
        part = resolved(part)
        if isinstance(value, str) and "string" not in kinds(part) and kinds(part):
            try:
                value = load_yaml(value)
            except yaml.YAMLError:
                return value
        elif isinstance(value, str) and value in ("null", "~") and "null" in kinds(part):
            return None
        if isinstance(value, dict):
            known, others = part.get("properties", {}), part.get("additionalProperties")
            others = others if isinstance(others, dict) else {}
            return {key: read(one, known.get(key, others)) for key, one in value.items()}
        if isinstance(value, list):
            options = [option["items"] for option in (part, *part.get("oneOf", [])) if "items" in option]
            return [read(one, options[0] if options else {}) for one in value]
        return value

    config.update(read(config, schema))


def plain(key: str, value: Any) -> Any:
    """The value with whole numbers as such: in a path 4.0 would be another budget than 4."""
    if isinstance(value, dict):
        return {name: plain(f"{key}.{name}".lstrip("."), part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(f"{key}[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, float):
        require(math.isfinite(value), f"{key}: {value} is not a number to compute with")
        return int(value) if value.is_integer() else value
    return value


def with_families(schema: dict, families: Iterable[Path]) -> dict:
    """The config's schema with the settings of all families of attacks in it."""
    known = schema["properties"]["attacks"]["additionalProperties"]["properties"]
    for path in families:
        known |= {key: part for key, part in load_yaml(path.read_text())["properties"].items() if key != "family"}
    return schema


def fill_and_check(part: dict, schema: Path, key: str = "") -> None:
    """Fill in the schema's defaults and refuse what it does not allow. key: where in the config the part stands."""
    try:
        validate(part, str(schema))
    except WorkflowError as error:
        fault = error.__context__  # jsonschema's own ValidationError
        where = f"{key}{fault.json_path.removeprefix('$')}".lstrip(".") or "top level"
        if fault.validator == "additionalProperties":
            require(False, f"{where}: {shortened(fault.message)}", fault.schema["properties"])
        description = fault.schema.get("description", "")
        require(False, f"{where}: {shortened(fault.message)}; {description}".rstrip("; "))


def shortened(message: str, limit: int = 500) -> str:
    """A message that shows a value, of which the ends will do."""
    return message if len(message) <= limit else f"{message[: limit // 2]} ... {message[-limit // 2 :]}"


def fill_where_read(config: dict) -> None:
    """The defaults of what only some studies read; a key of the grid with its default alone is left out; ~ is home."""
    dataset, matrix = config["dataset"], config["matrix"]
    for key, default in DEFAULTS.items():
        if matrix.get(key) == [default]:
            del matrix[key]
    dataset.setdefault("enrol", 10)
    if "draws" in dataset:
        dataset.setdefault("draw", 1)
    if dataset["loader"] == "synthetic":
        dataset.setdefault("identities", 64)
    else:
        dataset["root"] = homed(dataset["root"])
    if dataset["loader"] == "vggface2":
        dataset.setdefault("split", "train")
    if "lpips" in config:
        config["lpips"] |= {name: homed(config["lpips"][name]) for name in ("alexnet", "heads")}
    if "attributes" in dataset:
        dataset["attributes"] = homed(dataset["attributes"])
    for stored in config["storages"].values():
        for key, value in ENCODED[stored["format"]].items():
            stored.setdefault(key, value)  # after what the config says: jobs are told it in this order
    for model in config["models"].values():
        model |= {key: homed(model[key]) for key in ("weights", "classes") if key in model}
        if model["head"] == "gallery":
            model.setdefault("scale", 32)


def homed(path: str | None) -> str | None:
    """A path with ~ or ~name in front as the shell reads it."""
    try:
        return str(Path(path).expanduser()) if path and path.startswith("~") else path
    except RuntimeError:  # nobody of that name
        return path
