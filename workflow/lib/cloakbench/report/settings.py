"""Settings: is every file of a study made with what its config says? The seals know, Snakemake may have forgotten."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloakbench.files.seals import REMEDY, read_seal, seal_of
from cloakbench.study.grid import of_faces, of_groups, of_ladder, of_quality, of_tables
from cloakbench.study.sources import members

FORMAT = 2  # of provenance.json; the first had no number
# a setting in a seal: what the config says of it for the cell that the file is `of`
CONFIGURED: dict[str, Callable[[Mapping, Mapping], Any]] = {
    "seed": lambda config, of: config.get("noise", config["seed"]) if "attack" in of else config["seed"],
    "loader": lambda config, of: config["dataset"]["loader"],
    "subjects": lambda config, of: config["dataset"]["subjects"] * config["dataset"].get("draws", 1),
    "of_each": lambda config, of: config["dataset"]["subjects"],
    "draw": lambda config, of: config["dataset"].get("draw", 1),
    "epochs": lambda config, of: config["training"]["epochs"],
    "attack": lambda config, of: config["attacks"][of["attack"]],
    "storage": lambda config, of: config["storages"][of["storage"]],
    "crop": lambda config, of: config["crops"][of.get("crop") or config["models"][of["target"]]["crop"]],
    "sees": lambda config, of: config["crops"][config["models"][of["model"]]["crop"]],
    "missed": lambda config, of: config["detection"]["missed"],
    "attacks": lambda config, of: {name: config["attacks"][name] for name in config["matrix"]["attack"]},
    "matrix": lambda config, of: config["matrix"],
    "top_k": lambda config, of: sorted(config["top_k"]),
    "judged": lambda config, of: of_tables(config),
    "measured": lambda config, of: of_quality(config),
    "faced": lambda config, of: of_faces(config),
    "laddered": lambda config, of: of_ladder(config),
    "grouped": lambda config, of: of_groups(config),
    "digests": lambda config, of: {name: config["lpips"][f"{name}_sha256"] for name in ("alexnet", "heads")},
    "shown_to": lambda config, of: config["matrix"]["target"],
}
ONE_OF = ("model", "target", "source")  # the key of a cell that names the recogniser whose job it was


def contradictions(paths: Iterable[Path], config: Mapping, code: Container[str]) -> Iterator[str]:
    """A line for each file whose seal says that it was made otherwise than `config`, or by code that is not in `code`.

    Those of an earlier version, which noted no settings, share one line.
    """
    silent = []
    for path in paths:
        if not seal_of(path).exists():
            continue
        settings = read_seal(path)["settings"]
        if not settings:
            silent.append(path)
            continue
        found = [name for name, value in settings.items() if value != _configured(name, value, settings, config, code)]
        if found:
            yield f"{path}: made with another {' and '.join(found)} than the study's config says; {REMEDY}"
    if silent:
        yield (
            f"{silent[0]}: its seal does not say what it was made with, as in {len(silent)} file(s) by an earlier "
            "version of cloakbench or by hand; run the study again"
        )


def _configured(name: str, value: Any, settings: Mapping, config: Mapping, code: Container[str]) -> Any:
    """What a setting should be, its own value where the config does not say."""
    of = settings["of"]
    if name == "code":
        return value if value in code else None
    if name == "model":
        entry = config["models"].get(next(of[key] for key in ONE_OF if key in of), {})
        return {fact: entry.get(fact, said) for fact, said in value.items()}
    if name == "sources":
        names = members(config, of["source"])
        return len(names) == len(value) and [_of_member(*pair, config) for pair in zip(value, names, strict=True)]
    try:
        return CONFIGURED[name](config, of) if name in CONFIGURED else value
    except KeyError:  # of a cell that the study no longer has
        return value


def _of_member(said: Mapping, member: str, config: Mapping) -> dict[str, Any]:
    entry = config["models"].get(member, {})
    entry = entry | {"crop": config["crops"].get(entry.get("crop"))}
    return {fact: entry.get(fact, value) for fact, value in said.items()}
