# What all rules share: how a job starts, and the version of the code that it runs.
import atexit
import hashlib
import re
from functools import cache
from itertools import product

from snakemake.io import is_flagged
from snakemake.logging import logger

LIBRARY = ROOT / "workflow" / "lib"
SCRIPTS = ROOT / "scripts"

# A job is `$CLOAKBENCH_PYTHON -S -m cloakbench.jobs.warm $CLOAKBENCH_SCRIPTS/<script>.py`; without the warm start the
# script alone does the same, some seconds later. It runs with the interpreter that runs Snakemake, whatever `python` is
# here; with --sdm conda with that of its environment. The library is found where the package is not installed (conda, a
# cluster node), and no rule's text holds a path of this checkout: one that has moved repeats nothing.
PYTHONPATH = os.pathsep.join(filter(None, [str(LIBRARY), os.environ.get("PYTHONPATH")]))
PYTHON = sys.executable if not workflow.deployment_settings.deployment_method else "python"
os.environ.update(PYTHONPATH=PYTHONPATH, CLOAKBENCH_SCRIPTS=str(SCRIPTS))
os.environ.setdefault("CLOAKBENCH_PYTHON", PYTHON)
# A gradient asks for hundreds of MB and gives them back; kept for the next one, they need not be cleared page by page.
os.environ.setdefault("GLIBC_TUNABLES", f"glibc.malloc.mmap_threshold={2**25}:glibc.malloc.trim_threshold={2**32}")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order each time
# the shell takes no variable's value apart: the checkout may lie in a folder with spaces or stars in its name
shell.prefix("set -euo pipefail; IFS=; set -o noglob; ")

from cloakbench.attacks.families import parts
from cloakbench.files.inspection import Inspection, inspect, level
from cloakbench.jobs.readable import Readable
from cloakbench.jobs.versions import Versions
from cloakbench.files.seals import read_seal, sha256


@cache
def inspected():
    """What is found in the results, once a start that runs jobs or tells which it would run: the first fault ends it.

    Nothing is looked at for --unlock, --summary, --delete-all-output and the like, which no fault may stand in the way
    of; nor beside another Snakemake, which has looked and writes here now.
    """
    if not workflow.is_main_process or workflow.execution_settings is None or any(Path(".snakemake/locks").glob("*")):
        return Inspection()
    found = inspect(Path(STUDY), left_over=left_over(config))
    if found.faults:
        others = f" (and {len(found.faults) - 1} more: cloakbench verify {STUDY})" if found.faults[1:] else ""
        raise SystemExit(f"cloakbench: {found.faults[0]}{others}")
    refuse_a_low_measurement()
    level(Path(STUDY), found)
    return found


logger.addFilter(Readable())


def cards_here():
    """How many NVIDIA GPUs a process of this machine may use, without asking their driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path(os.devnull).parent.glob("nvidia[0-9]*")))


# a job's options for the networks; the thread count is the config's, not what --cores leaves of it
COMPUTE = "--device {} --threads {threads} --batch {batch}".format(config["compute"]["device"], **config["compute"])
# of those who judge: on the CPU, in the batches that were looked at, for others may round otherwise
JUDGING = "--threads {threads} --batch {batch}".format(**config["compute"])
CRAFTING = f"{COMPUTE} --precision {config['compute']['precision']}"
GPU = 0 if config["compute"]["device"] == "cpu" else 1
GPU_MEMORY = config["compute"]["gpu_mem_mb"] if GPU else 0
# Snakemake counts no cards: told nothing it would start as many GPU jobs on this machine as it has CPU cores. Without
# --resources gpu=N it gets the number of cards here; none are no limit, for then these jobs compute on the CPU.
CARDS = cards_here()
if CARDS and workflow.local_exec and workflow.is_main_process and "gpu" not in workflow.global_resources:
    workflow.global_resources["gpu"] = CARDS


wildcard_constraints:
    **{key: "|".join(map(re.escape, values_of(key, MATRIX))) for key in MATRIX},
    role="|".join(values_of("role", {"role": ROLES})),
    model="|".join(MODELS),
    crop="|".join(CROPS),
    part=r"\d+",


def handed(variable, value):
    """Hand the jobs a value that would fill pages of what Snakemake prints: as JSON in a variable of the environment.
    Its hash, for a param."""
    os.environ[variable] = json.dumps(value, sort_keys=True)
    return hashlib.sha256(os.environ[variable].encode()).hexdigest()


def own_rules():
    """This study's rules by the names that they have here: a Snakefile that uses the study as a module may call them
    otherwise, and has rules of its own beside them."""
    return {name: proxy.rule for name, proxy in rules._rules.items()}


CODE = Versions(LIBRARY)
atexit.register(CODE.keep)


def code_of(start):
    """A param: sha256 over the code that a job of a script, or of a definition of the library, runs.

    It makes jobs run again when their code changed, and only then. Snakemake itself does not look into programs that a
    shell command calls, and a checkout that merely touches files changes nothing.
    """
    script = SCRIPTS / start if start.endswith(".py") else start
    return lambda wildcards: code_version(script, **choices(wildcards))


@cache
def code_version(start, /, **choices):
    return CODE.version(start, {REGISTRIES[name]: chosen for name, chosen in choices.items()})


# registries of the library, of which a job runs the entries that the config names for it
REGISTRIES = {
    "loader": "photos.datasets.LOADERS",
    "form": "recognisers.foreign.graphs.FORMS",
    "architecture": "recognisers.architectures.ARCHITECTURES",
    "small": "synthetic.small.SMALL",
    "family": "attacks.families.FAMILIES",
    "goal": "attacks.losses.LOSSES",
    "view": "attacks.transforms.TRANSFORMS",
    "start": "attacks.starts.STARTS",
    "format": "publishing.store.FORMATS",
}


def choices(wildcards):
    """By registry, the entries that a job can run, as far as its wildcards tell."""
    of = cell_of(wildcards)
    chosen = {"loader": (config["dataset"]["loader"],)}
    shown = {of[key] for key in ("model", "target") if key in of}
    shown |= {*members(config, of["source"])} if "source" in of else set()
    if archs := tuple(sorted({config["models"][name]["arch"] for name in shown})):
        chosen |= dict.fromkeys(("form", "architecture", "small"), archs)
    crafted = [of["attack"]] if "attack" in of else MATRIX["attack"]
    for name in set(crafted) - {"clean"}:
        for registry, entries in parts(config["attacks"][name]).items():
            chosen[registry] = tuple(sorted({*chosen.get(registry, ()), *entries}))
    if "storage" in of:
        chosen["format"] = (config["storages"][of["storage"]]["format"],)
    return chosen


# the wildcards that choose
CHOOSING = {key: MATRIX[key] for key in ("source", "attack", "storage", "target")} | {"model": MODELS}


def code_of_all():
    """The versions of the code of all that the study makes, by stage, or by stage and what it was chosen for where they
    differ."""
    found, unmade = {}, left_over(config)
    for stage, own in own_rules().items():
        if "code" not in own.params.keys():
            continue
        names = [name for name in CHOOSING if name in own.wildcard_names]
        chosen = [dict(zip(names, values)) for values in product(*(CHOOSING[name] for name in names))]
        made = [of for of in chosen if not unmade("", {"stage": stage, "of": of})]
        versions = {" ".join([stage, *of.values()]): own.params.code(of) for of in made}
        alike = len({*versions.values()}) == 1
        found |= {stage: version for version in versions.values()} if alike else versions
    return found


# Snakemake remembers in .snakemake what each file was made with, and forgets it with that folder, in a copy of
# results/ alone, or under --rerun-triggers mtime. So a job's settings stand in the seals of its files too.
PLACES = {"gallery", "folder"}  # params that say where something lies and change no byte


def made_with(stage):
    """A param for `--settings`: all that the other params of the rule say of how its files come about, as JSON.

    It takes the outputs only to be no reason of its own to run again: the other params are, and are told once.
    """

    def settings(wildcards, output=()):
        facts = {"stage": stage, "of": cell_of(wildcards)}
        for name, value in own_rules()[stage].params.items():
            if name not in {*PLACES, "settings"}:
                facts[name] = unfolded(value(wildcards) if callable(value) else value)
        return json.dumps(facts, sort_keys=True)

    return settings


def looked_with(stage):
    """A param of those who judge outputs: the hash of what these were made with; they may be gone when it changes."""

    def digest(wildcards):
        return hashlib.sha256(made_with(stage)(wildcards).encode()).hexdigest()

    return digest


def unfolded(value):
    """A param that is JSON as what it says."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def again(rule):
    """An input function for a rule: no file, but its files are made again, whatever Snakemake remembers, where they are
    there and were made with other settings than the config's and the code's, and where one of them is gone though
    something was made from it, or though the others are there."""

    def outdated(wildcards):
        found, made = inspected(), own_rules()[rule]
        outputs = made.output if workflow.is_main_process else ()
        paths = [output.apply_wildcards(wildcards) for output in outputs]
        gone = [path for path in paths if not os.path.exists(path)]
        for path in paths:
            lost = (
                path in gone and (Path(path) in found.gone or len(gone) < len(paths)) and not is_flagged(path, "temp")
            )
            if lost or made_otherwise(path, made.params.settings(wildcards)):
                workflow.dag.forcefiles.add(path)
        return []

    return outdated


@cache
def made_otherwise(path, settings):
    """Whether a file that is there was made with other settings; the first such file is told to the user."""
    try:
        seal = inspected().seals.get(Path(path)) or read_seal(Path(path))
        made, wanted = seal["settings"], json.loads(settings)
    except InputError:
        return False  # nothing is there, or it is damaged and refused by whoever reads it
    if made == wanted or not Path(path).exists():
        return False
    if not TOLD:
        names = [name for name in sorted(made | wanted) if made.get(name) != wanted.get(name)]
        what = f"other {' and '.join(names)}" if made else "an earlier version of cloakbench"
        sys.stderr.write(f"cloakbench: {path}: made with {what}; all that was made otherwise is made again\n")
    TOLD.add(path)
    return True


TOLD = set()  # files made otherwise, of which the user has read
