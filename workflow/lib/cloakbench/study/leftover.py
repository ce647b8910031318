"""Which files in a results folder a config asks for no more: a source, a budget, a model or a table was taken out.

Standard library only, for the rule files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloakbench.study.grid import covers_paper, links, setting, shares, values_of
from cloakbench.study.keys import ROLES
from cloakbench.study.sources import crafted_on, crops, members, recognisers

RUNGS = ("look_at_crafted", "look_at_stored", "look_at_unrounded", "rank_crafted", "rank_stored", "rank_unrounded")
# stages that only some studies have, by the entry of `measures` that asks for them
OF_MEASURE = {
    **dict.fromkeys(("measure", "quality", "front"), "quality"),
    **dict.fromkeys(("convert_lpips", "perceive"), "lpips"),
    **dict.fromkeys(("craft_unrounded", *RUNGS, "ladder"), "ladder"),
    **dict.fromkeys(("margins", "properties", "attributes", "groups"), "properties"),
}
# and by the key of `dataset`
OF_DATASET = {"own": "own", "crop_own": "own", "enrol_own": "own", "one_draw": "draws", "attributes": "attributes"}
# folders whose files lie in parts where the study is cut into chunks
PARTED = ("subjects", "enrolled", "path", "crafted", "unrounded", "stored", "manifests", "redetected", "outputs")
PARTED += ("quality", "lpips")


def left_over(config: Mapping) -> Callable[[str, Mapping], bool]:
    """Tells of a file in a results folder, by its path there and the settings in its seal, whether this config makes it
    no more. Of an earlier version of cloakbench, which noted no settings, everything counts as left over: what the
    study still makes of it is made again.
    """
    known = _known(config)
    walked = known | {"eps": {str(eps) for _, eps in links(config["matrix"]["eps"])}}

    def left(name: str, settings: Mapping) -> bool:
        if not settings:
            return True
        stage, of = settings["stage"], settings["of"]
        places = walked if stage == "path" else known
        return (
            any(value not in places.get(key, ()) for key, value in of.items())
            or not _has_folder(name.split("/")[0], config, whole="part" not in of)
            or not _has_stage(stage, of, config)
            or (stage == "craft_unrounded" and settings.get("attack") not in (None, config["attacks"][of["attack"]]))
        )

    return left


def _known(config: Mapping) -> dict[str, set[str]]:
    """By wildcard, all that it may hold."""
    matrix, chunks = config["matrix"], config["compute"]["chunks"]
    return {key: {setting(key, value) for value in values_of(key, matrix)} for key in matrix} | {
        "model": {*recognisers(config)},
        "crop": {*crops(config)},
        "part": {*map(str, range(chunks))} if chunks > 1 else set(),
        "role": {*ROLES},
        "photos": {"subjects", "enrolled"},
        "share": {*map(str, range(shares(config["dataset"]["subjects"])))},
    }


def _has_folder(folder: str, config: Mapping, whole: bool) -> bool:
    """Whether the folder of a file in a results folder is one of this study's, and holds no parts while the file is
    `whole`. What lies there may have been made by the twin of a rule, which its seal names: the stage does not tell."""
    dataset = config["dataset"]
    unasked = (folder == "own" and "own" not in dataset) or (folder == "drawn" and "draws" not in dataset)
    return not unasked and not (whole and folder in PARTED and config["compute"]["chunks"] > 1)


def _has_stage(stage: str, of: Mapping[str, str], config: Mapping) -> bool:
    """Whether a study has that stage, of the model and the source that a file is of."""
    targets, name = config["matrix"]["target"], of.get("model")
    model = config["models"].get(name)
    if stage in OF_MEASURE and OF_MEASURE[stage] not in config.get("measures", []):
        return False
    if stage in OF_DATASET and OF_DATASET[stage] not in config["dataset"]:
        return False
    match stage:
        case "render":
            return config["dataset"]["loader"] == "synthetic"
        case "train":
            return model["weights"] == "trained"
        case "convert":
            return model["weights"] != "trained"
        case "enrol" | "enrol_cloaked":
            return model["head"] == "gallery"
        case "clean_scores":
            return model["head"] == "gallery" and name in targets
        case "margins":
            return name in targets
        case "look_at_photos" | "baseline":
            return name in targets or ("ladder" in config.get("measures", []) and name in crafted_on(config))
        case "compare":
            return covers_paper(config)
    return stage not in RUNGS or name in members(config, of["source"])
