# The study's config, filled in and checked before anything else happens.
import json
import os
import sys
from pathlib import Path

# the parts of the library that are imported while the workflow is parsed need what Snakemake needs and no more
sys.path.insert(0, f"{ROOT}/workflow/lib")
from cloakbench.platforms import refuse_windows

refuse_windows()

from cloakbench.attacks.entries import check_attacks
from cloakbench.errors import InputError
from cloakbench.study.checks import OWN_GRAPH
from cloakbench.study.config import complete
from cloakbench.study.grid import (
    CLEAN,
    as_wildcards,
    budgets,
    cell_of,
    cells,
    covers_paper,
    link,
    links,
    of_faces,
    of_groups,
    of_ladder,
    of_quality,
    of_tables,
    pattern,
    reference,
    values_of,
)
from cloakbench.study.keys import ROLES
from cloakbench.study.leftover import left_over
from cloakbench.study.sources import canvas, crafted_on, crops, members, recognisers

try:
    complete(
        config,
        files=workflow.configfiles,
        shipped=ROOT / "config.yaml",
        schema=ROOT / "workflow/schemas/config.schema.yaml",
        catalogue=ROOT / "workflow/attacks.yaml",
    )
    check_attacks(config)
except InputError as error:
    raise SystemExit(f"cloakbench: {error}")

# the names that follow from it
STUDY = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
MATRIX = config["matrix"]
BUDGETS = budgets(MATRIX)
MODELS = recognisers(config)
SOURCES = crafted_on(config)
CROPS = crops(config)
TRAINED = [model for model in MODELS if config["models"][model]["weights"] == "trained"]
FETCHED = [model for model in MODELS if "://" in config["models"][model]["weights"]]
GALLERIES = [model for model in MODELS if config["models"][model]["head"] == "gallery"]
SCORED = [model for model in MATRIX["target"] if model in GALLERIES]
ENROL = config["dataset"]["enrol"] if TRAINED or GALLERIES else 0
ENROL_MIN = config["dataset"].get("enrol_min", ENROL) if ENROL else 0
PHOTOS = f"{STUDY}/photos" if config["dataset"]["loader"] == "synthetic" else config["dataset"]["root"]
DRAWS = config["dataset"].get("draws", 1)  # of so many subjects; one of them is this study's
ATTACKED = config["dataset"]["subjects"] * config["dataset"]["photos"]  # faces

# where files lie: below a stage's folder by the cell, as far as the stage tells cells apart. The parts that a cell's
# faces are computed in are one more wildcard; without parts a cell is one file
PARTS = {"part": range(config["compute"]["chunks"])} if config["compute"]["chunks"] > 1 else {}
PART = f"{os.sep}part{{part}}" if PARTS else ""
# before the cell stands whose photographs its faces are, where these are not the probes: role=enrolled/
CRAFTED_AS = f"{{role}}{pattern('craft', MATRIX)}"
STORED_AS = f"{{role}}{pattern('store', MATRIX)}"
REDETECTED_AS = f"{{role}}{pattern('redetect', MATRIX)}"
JUDGED_AS = pattern("classify", MATRIX)
MEASURED_AS = f"{pattern('store', MATRIX)}{PART}"
PHOTOS_OF = {"probe": "subjects", "enrolled": "enrolled"}  # by role, the table of its photographs
FACES = f"{STUDY}/{{photos}}/{{crop}}{PART}.npy"

# jobs are handed their study's config in the environment, which a second study in the same Snakefile would overwrite
for there in workflow.rules:
    if "CRAFTED_AS" in there.module_globals and there.module_globals["STUDY"] != STUDY:
        others = there.module_globals["STUDY"]
        raise SystemExit(f"cloakbench: {STUDY} and {others}: one Snakefile runs one study, start Snakemake for each")
