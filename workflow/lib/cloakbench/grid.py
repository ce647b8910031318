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
CELL = ("source", "attack", "eps", "storage")
COMPARISON = ("comparison.csv", "claims.csv", "comparison.md")
# folder of a results folder: the keys of the paths in it, what their names end with, whether a cell may lie in parts
FOLDERS = {
    "subjects": (("crop",), ".npy", True),
    "enrolment": (("crop",), ".npy", False),
    "weights": (("model",), ".safetensors", False),
    "galleries": (("gallery",), ".safetensors", False),
    "gate": (("model",), ".json", False),
    "path": (CELL[:3], ".npy", True),
    "crafted": (CELL[:3], ".npy", True),
    "stored": (CELL, "", True),
    "manifests": (CELL, ".csv", True),
    "redetected": (CELL, ".csv", True),
    "parts": ((*CELL, "target"), ".csv", True),
    "ranks": ((*CELL, "target"), ".csv", False),
}


def covers_paper(config: Mapping) -> bool:
    """Whether a study has all of the paper's sources, attacks, budgets, targets and k."""
    asked = {**config["matrix"], "top_k": config["top_k"]}
    return all(set(values) <= set(asked[key]) for key, values in PAPER.items())


def left_over(config: Mapping) -> Callable[[str], bool]:
    """Tells of a path in the study's results folder whether this config no longer makes it: a source, budget, model or
    table was taken out. What lies in a folder that is not known here counts as the study's own.
    """
    matrix, chunks = config["matrix"], config["compute"]["chunks"]
    models = {name: config["models"][name] for name in (*matrix["source"], *matrix["target"])}
    values = {key: set(matrix[key]) for key in ("source", "storage", "target")}
    values["attack"] = {"clean", *matrix["attack"]}
    values["eps"] = {"eps0", *(f"eps{eps}" for eps in matrix["eps"])}
    values["model"] = set(models)
    values["gallery"] = {name for name, model in models.items() if model["head"] == "gallery"}
    values["crop"] = {model["crop"] for model in models.values()}
    numbers = {f"part{number}" for number in range(chunks)} if chunks > 1 else set()

    def file(folder: str, names: list[str]) -> bool:
        keys, suffix, parted = FOLDERS[folder]
        names = [*names[:-1], names[-1].removesuffix(suffix)]
        allowed = [values[key] for key in keys] + ([numbers] if parted and numbers else [])
        if len(names) != len(allowed) or not all(map(set.__contains__, allowed, names)):
            return False
        return "attack" not in keys or (names[1] == "clean") == (names[2] == "eps0")

    def figure(names: list[str]) -> bool:
        if names == ["examples.png"]:
            return True
        storage, _, suffix = names[-1].rpartition(".")
        return (
            [names[0], len(names)] == ["psr", 3]
            and names[1] in values["source"]
            and storage in values["storage"]
            and suffix in ("png", "pdf")
        )

    def own(name: str) -> bool:
        folder, *names = name.split("/")
        if name in COMPARISON:
            return covers_paper(config)
        if folder == "photos":
            return config["dataset"]["loader"] == "synthetic"
        if not names:
            return True
        return figure(names) if folder == "figures" else folder not in FOLDERS or file(folder, names)

    return lambda name: not own(name)
