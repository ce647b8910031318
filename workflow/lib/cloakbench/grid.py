"""The grid that a config asks for: whether it holds the paper's, and which files of a results folder are its own.

Standard library only, for the rule files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

PAPER = {
    "source": ["facenet", "resnet50", "senet50"],
    "attack": ["bim", "illc"],
    "eps": [4, 8, 16, 32, 64, 128],
    "target": ["facenet", "resnet50", "senet50"],
    "top_k": [1, 5, 10, 25, 50],
}
PARTED = ("subjects", "path", "crafted", "stored", "manifests", "redetected")  # folders where cells may lie in parts


def covers_paper(config: Mapping) -> bool:
    """Whether a study has all of the paper's sources, attacks, budgets, targets and k."""
    asked = {**config["matrix"], "top_k": config["top_k"]}
    return all(set(values) <= set(asked[key]) for key, values in PAPER.items())


def left_over(config: Mapping) -> Callable[[str, Mapping], bool]:
    """Tells of a file in a results folder, by its path there and the settings in its seal, whether this config makes it
    no more: a source, budget, model or table was taken out. Of an earlier version of cloakbench, which noted no
    settings, everything counts as left over: what the study still makes of it is made again.
    """
    matrix, chunks, compared = config["matrix"], config["compute"]["chunks"], covers_paper(config)
    models = {name: config["models"][name] for name in (*matrix["source"], *matrix["target"])}
    asked = {key: {*matrix[key]} for key in ("source", "storage", "target")} | {
        "attack": {"clean", *matrix["attack"]},
        "eps": {"0", *map(str, matrix["eps"])},
        "model": set(models),
        "crop": {model["crop"] for model in models.values()},
        "part": {*map(str, range(chunks))} if chunks > 1 else set(),
    }

    def left(name: str, settings: Mapping) -> bool:
        if not settings:
            return True
        stage, of = settings["stage"], settings["of"]
        if any(value not in asked[key] for key, value in of.items()):
            return True
        whole = chunks > 1 and "part" not in of and name.split("/")[0] in PARTED
        return whole or {
            "render": config["dataset"]["loader"] != "synthetic",
            "enrol": stage == "enrol" and models[of["model"]]["head"] != "gallery",
            "compare": not compared,
        }.get(stage, False)

    return left
