"""Which recognisers a study has, and which of them a source of its grid is made of. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping


def members(config: Mapping, source: str) -> list[str]:
    """The recognisers that faces are crafted on: one, or those of an ensemble, in its order."""
    return _ensemble(config, source).get("members", [source])


def canvas(config: Mapping, source: str) -> str:
    """The crop whose pixels are changed and published: a recogniser's own; an ensemble's where it names one, else its
    first member's.

    >>> models = {"facenet": {"crop": "tight160"}, "senet50": {"crop": "loose224"}}
    >>> config = {"models": models, "ensembles": {"both": {"members": ["facenet", "senet50"]}}}
    >>> canvas(config, "senet50"), canvas(config, "both")
    ('loose224', 'tight160')
    """
    return _ensemble(config, source).get("crop") or config["models"][members(config, source)[0]]["crop"]


def _ensemble(config: Mapping, source: str) -> Mapping:
    return config.get("ensembles", {}).get(source, {})  # in provenance.json of earlier versions there are none


def crafted_on(config: Mapping) -> list[str]:
    """All recognisers that the grid's sources are made of, sorted."""
    return sorted({name for source in config["matrix"]["source"] for name in members(config, source)})


def recognisers(config: Mapping) -> list[str]:
    """All recognisers of the grid, sorted."""
    return sorted({*config["matrix"]["target"], *crafted_on(config)})


def crops(config: Mapping) -> list[str]:
    """All crops of the grid, sorted."""
    own = {config["models"][name]["crop"] for name in recognisers(config)}
    return sorted(own | {canvas(config, source) for source in config["matrix"]["source"]})


def resizable(canvas: Mapping, crop: Mapping) -> bool:
    """Whether one crop of a face is the other but for its size, so that a recogniser of it can look at the canvas.

    >>> resizable({"size": 224, "margin": 0.3, "short_side": 256}, {"size": 112, "margin": 0.3, "short_side": 128})
    True
    >>> resizable({"size": 224, "margin": 0.3}, {"size": 224, "margin": 0})
    False
    """
    shapes = [dict(one, size=0, short_side=one.get("short_side", one["size"]) / one["size"]) for one in (canvas, crop)]
    return shapes[0] == shapes[1]
