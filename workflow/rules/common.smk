# What all rules share: how a job starts, the version of the code that it runs, the files of a recogniser.
import ast
import hashlib
import json
import os
import shlex
from functools import cache

ROOT = Path(workflow.basedir)
LIBRARY = ROOT / "workflow" / "lib"
SCRIPTS = ROOT / "scripts"
RUN = "python -S -m cloakbench.warm"  # plain `python` does the same, some seconds later

# an environment that does not have the package installed (conda, a cluster node) finds it here
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LIBRARY), os.environ.get("PYTHONPATH")]))


# a job's options for the networks; the thread count is the config's, not what --cores leaves of it
COMPUTE = "--device {} --threads {threads} --batch {batch}".format(config["compute"]["device"], **config["compute"])
GPU = 0 if config["compute"]["device"] == "cpu" else 1


wildcard_constraints:
    source="|".join(MATRIX["source"]),
    target="|".join(MATRIX["target"]),
    attack="|".join(["clean", *MATRIX["attack"]]),
    storage="|".join(MATRIX["storage"]),
    model="|".join(MODELS),
    crop="|".join(CROPS),
    eps=r"\d+",


@cache
def code_version(script):
    """sha256 over a script and, from import to import, the library modules it uses.

    As a param it makes a rule run again when its code changed, and only then: Snakemake itself does not look into
    programs that a shell command calls, and a checkout that merely touches files changes nothing.
    """
    waiting, seen = [SCRIPTS / script], {}
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path] = path.read_bytes()
            waiting += imported_modules(seen[path])
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.name.encode() + b"\0" + seen[path] + b"\0")
    return digest.hexdigest()


def imported_modules(source):
    """Files of the library that a Python source imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    own = (LIBRARY / f"{name.replace('.', '/')}.py" for name in names if name.startswith("cloakbench"))
    return sorted(path for path in own if path.is_file())


def model_facts(name, *keys):
    """What a job has to know of a recogniser, as JSON."""
    model = config["models"][name]
    return json.dumps({key: model[key] for key in keys if key in model})


def model_files(name):
    """The files of a recogniser: its converted weights and, without a class head, its gallery."""
    files = {"weights": f"{STUDY}/weights/{name}.safetensors"}
    if config["models"][name]["head"] == "gallery":
        files["gallery"] = f"{STUDY}/galleries/{name}.safetensors"
    return files


def gallery_option(wildcards, input):
    """The option that hands a script the recogniser's gallery, if it has one."""
    return f"--gallery {input.gallery}" if "gallery" in input.keys() else ""


def crop_of(model):
    return config["models"][model]["crop"]
