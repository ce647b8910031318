# Which files and facts a job is given, by its wildcards.
import json
import shlex

from cloakbench.attacks.entries import own_photos
from cloakbench.attacks.families import fractional, shares_path
from cloakbench.photos.drawn import not_drawn

RESOURCES = "resources/weights"


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


def scored_files(wildcards):
    """The files of a target whose scores are counted; of any other recogniser nobody has scores, which ends in one
    line."""
    if wildcards.model not in SCORED:
        head, ranks = config["models"][wildcards.model]["head"], f"{STUDY}/ranks/"
        reason = (
            f"{wildcards.model} is no target of this study; accepted: {', '.join(SCORED) or 'none here'}"
            if head == "gallery"
            else f"{wildcards.model} has a class head, whose logits are no scores that could be compared from face to "
            f"face; its ranks stand, in {ranks}"
        )
        raise SystemExit(f"cloakbench: {STUDY}/scores/{wildcards.model}.csv: {reason}")
    return model_files(wildcards.model)


def gallery_option(wildcards, input):
    """The option that hands a script the recogniser's gallery, if it has one."""
    return f"--gallery {input.gallery}" if "gallery" in input.keys() else ""


def gate_files(name):
    """The gate's: those, and what a gallery was made from, to be tried in another order of colours."""
    files = model_files(name)
    if "gallery" in files:
        files |= {"enrolment": f"{STUDY}/enrolment.csv", "enrolled": f"{STUDY}/enrolment/{crop_of(name)}.npy"}
    return files


def gate_options(wildcards, input):
    """The options that hand it these, in a param: studies without a gallery keep theirs and repeat nothing."""
    if "gallery" not in input.keys():
        return ""
    return f"{gallery_option(wildcards, input)} --enrolment {input.enrolment} --enrolled {input.enrolled}"


GATES = expand(f"{STUDY}/gate/{{model}}.json", model=MODELS)


def refuse_a_low_measurement():
    """End in one line where a recogniser was measured before and the config now asks for more."""
    minimum = config["gate"]["clean_top1"]
    for model, path in zip(MODELS, map(Path, GATES)):
        measured = json.loads(path.read_text())["clean_top1"] if path.is_file() else 100
        if measured < minimum:
            raise SystemExit(
                f"cloakbench: {path}: {model} names {measured:.1f} % of the clean faces, and gate.clean_top1 is "
                f"{minimum}: lower it, or leave {model} out; if its weights or its crop are others now, delete that "
                "file and it is measured anew"
            )


def crop_of(model):
    return config["models"][model]["crop"]


def digest_of(model):
    """The hash that a checkpoint must have: sha256, or md5 where its publisher gives no other; None for any."""
    entry = config["models"][model]
    return entry.get("sha256") or entry.get("md5")


def checkpoint_of(model):
    weights = config["models"][model]["weights"]
    return f"{RESOURCES}/{digest_of(model)}" if "://" in weights else weights


@cache
def content(path):
    """sha256 of a file from outside: as a param it shows that another file has taken the name, whatever its date."""
    return sha256(Path(path))


def given_content(wildcards):
    """The content of the files that a recogniser is converted from; a fetched one is named by its own."""
    model, dataset = config["models"][wildcards.model], config["dataset"]
    files = [model.get("classes"), None if "://" in model["weights"] else model["weights"]]
    if dataset["loader"] == "vggface2":
        files.append(f"{dataset['root']}/identity_meta.csv")
    return [content(file) for file in files if file and Path(file).is_file()]


def class_list(wildcards):
    """Where convert finds a softmax head's identities: a list of its own, or the data set that it was trained on."""
    model, dataset = config["models"][wildcards.model], config["dataset"]
    if model["head"] == "gallery":
        return ""
    if "classes" in model:
        return f"--classes {shlex.quote(model['classes'])}"
    return f"--loader {dataset['loader']}"


def conversion_facts(wildcards):
    """What convert has to know; a network with its own graph is tried on faces as bright as those it will see."""
    own_graph = config["models"][wildcards.model]["arch"] in OWN_GRAPH
    keys = ["arch", "head", "crop", "member", *(["mean", "std"] if own_graph else [])]
    facts = json.loads(model_facts(wildcards.model, *keys))
    if facts["arch"] == "onnx":  # of the others every one has gradients
        facts["source"] = wildcards.model in MATRIX["source"]
    return json.dumps(facts)


def trial_crop(wildcards):
    """The option that tells convert the crop, and so the size, of the faces that the network is tried on."""
    return f"--crop {shlex.quote(json.dumps(config['crops'][crop_of(wildcards.model)]))}"


def drawn_elsewhere(wildcards):
    """No file, but where the photos lie in another folder than when they were drawn, they are the same ones there, or
    they are searched for faces and drawn anew."""
    drawn = rules.draw.output
    if workflow.is_main_process and (other := not_drawn(map(Path, drawn), PHOTOS, inspected().seals)):
        workflow.dag.forcefiles.update([*drawn, *expand(rules.detect.output, share=SHARES)])
        sys.stderr.write(f"cloakbench: {other}; the study is drawn anew\n")
    return []


def of_probes(path):
    """The files of the probes' cells, for those who look at no others."""
    return path.replace("{role}", "")


def stored_clean(path):
    """An input function: that file of the clean faces that were stored as the cell's are."""
    return lambda wildcards: of_probes(path).format(**dict(wildcards) | CLEAN)


def role_of(wildcards):
    return cell_of(wildcards).get("role", "probe")


def photos_of(wildcards):
    """The table of the photographs whose faces a cell has."""
    return f"{STUDY}/{PHOTOS_OF[role_of(wildcards)]}.csv"


def clean_faces(wildcards):
    photos, crop = PHOTOS_OF[role_of(wildcards)], canvas(config, wildcards.source)
    return FACES.format(**dict(wildcards), photos=photos, crop=crop)


def source_files(wildcards):
    """The files of the recognisers that faces are crafted on, by kind."""
    files = [model_files(name) for name in members(config, wildcards.source)]
    return {
        "weights": [one["weights"] for one in files],
        "galleries": [one["gallery"] for one in files if "gallery" in one],
    }


def source_facts(wildcards):
    """What crafting has to know of them, as JSON: one after another, and its crop where that is not the canvas."""
    facts, shown = [], canvas(config, wildcards.source)
    for name in members(config, wildcards.source):
        facts.append(json.loads(model_facts(name, "arch", "head", "mean", "std", "scale")))
        if crop_of(name) != shown:
            facts[-1]["crop"] = config["crops"][crop_of(name)]
    return json.dumps(facts)


def passed_gates(wildcards):
    return expand("{gate}", gate=[f"{STUDY}/gate/{name}.json" for name in members(config, wildcards.source)])


def cell_facts(wildcards):
    """The keys of a cell, as JSON."""
    return json.dumps({key: value for key, value in cell_of(wildcards).items() if key in MATRIX})


def every_cell(path, stage):
    """The files of all cells that a stage tells apart, part by part."""
    wildcards = [as_wildcards(cell, MATRIX) | {"role": ""} for cell in cells(MATRIX, stage)]
    return [file for one in wildcards for file in expand(path, **one, **PARTS)]


def every_cloak(path):
    """The files of all cells that are crafted, part by part."""
    crafted = [cell for cell in cells(MATRIX, "craft") if cell["attack"] != CLEAN["attack"]]
    return [file for cell in crafted for file in expand(path, **as_wildcards(cell, MATRIX), **PARTS)]


def shown_together(wildcards):
    """The ranks of one source's cells that are stored alike."""
    chosen = MATRIX | {"source": [wildcards.source], "storage": [wildcards.storage]}
    return [RANKS.format(**as_wildcards(cell, MATRIX)) for cell in cells(chosen)]


def rungs(stage):
    """The wildcards of all cells that a stage tells apart, with each recogniser that they were crafted on; of the clean
    faces nothing was crafted."""
    crafted = [cell for cell in cells(MATRIX, stage) if stage != "craft" or cell["attack"] != CLEAN["attack"]]
    pairs = [(cell, model) for cell in crafted for model in members(config, cell["source"])]
    return [as_wildcards(cell, MATRIX) | {"model": model} for cell, model in pairs]


def every_rung(path, stage):
    """The files of these."""
    return [file for one in rungs(stage) for file in expand(path, **one)]


def rounded_rungs():
    """Those of attacks whose pictures are fractions of grey levels until they are rounded."""
    return [one for one in rungs("craft") if fractional(config["attacks"][one["attack"]])]


def canvases(wildcards):
    """The clean faces that a source's cells are crafted from, part by part."""
    return expand(FACES, photos="subjects", crop=canvas(config, wildcards.source), **PARTS)


def part_by_part(path, wildcards):
    """The files that a cell's parts lie in."""
    return expand(path, **dict(wildcards), **PARTS)


def every_clean_face(wildcards):
    """The clean faces as one recogniser wants them, part by part."""
    return expand(FACES, photos="subjects", crop=crop_of(wildcards.model), **PARTS)


def part_option(wildcards):
    """The option that tells a script which of the attacked faces are its own: whole batches, so that a face is computed
    in the same company however many parts there are."""
    if not PARTS or "part" not in wildcards.keys():
        return ""
    enrolled = "enrolled" in (role_of(wildcards), dict(wildcards).get("photos"))
    faces = config["dataset"]["subjects"] * ENROL if enrolled else ATTACKED
    batch = config["compute"]["batch"]
    first, end = (-(-faces // batch) * (int(wildcards.part) + step) // len(PARTS["part"]) for step in (0, 1))
    return f"--part {first * batch}:{min(end * batch, faces)}"


def path_start(wildcards):
    """The state that a stretch of the path goes on from; none at the clean faces."""
    eps = link(int(wildcards.eps))
    return rules.path.output.state.format(**dict(wildcards) | {"eps": eps}) if eps else []


def crafting_start(wildcards):
    """The state at which a budget leaves the path; none where the attack's budgets share none."""
    shared = shares_path(config["attacks"][wildcards.attack])
    return rules.path.output.state.format(**dict(wildcards)) if shared else []


def own_templates(wildcards):
    """By source, the templates of the attacked people's other photographs, where the attack asks for them."""
    wanted = own_photos([config["attacks"][wildcards.attack]])
    names = members(config, wildcards.source) if wanted else []
    return expand(rules.enrol_own.output.gallery, model=names)


def crafted_faces(wildcards):
    """The clean baseline is stored, re-detected and classified like every other cell."""
    if wildcards.attack == "clean":
        return clean_faces(wildcards)
    return rules.craft.output.crafted.format(**dict(wildcards))


def example_faces(source, attack):
    """The files whose first face is the first subject's: clean, then by budget."""
    crafted = {f"eps {eps}": rules.craft.output.crafted for eps in BUDGETS}
    files = {"clean": FACES} | crafted
    keys = {"role": "", "source": source, "attack": attack, "part": 0}
    keys |= {"photos": "subjects", "crop": canvas(config, source)}
    return [[name, file.format(**keys, eps=name.removeprefix("eps "))] for name, file in files.items()]


def cost_options(wildcards):
    """What will be crafted on a recogniser and shown to it, for the estimate of what it costs."""
    shown = len(list(cells(MATRIX, "redetect"))) if wildcards.model in MATRIX["target"] else 0
    if LADDERED:
        laddered = [*rungs("craft"), *rungs("store"), *rounded_rungs()]
        shown += sum(one["model"] == wildcards.model for one in laddered)
    attacks = [cell["attack"] for cell in cells(MATRIX) if cell["attack"] != CLEAN["attack"]]
    others = sum(attack != reference(config) for attack in attacks)
    compared = shlex.quote(json.dumps(({reference(config): others} if others else {}) | {"no cloak": len(attacks)}))
    told = f"--cells-shown {shown} --comparisons {compared} --parts {len(PARTS.get('part', [0]))}"
    sources = [source for source in MATRIX["source"] if wildcards.model in members(config, source)]
    if not sources:
        return told
    entries = [config["attacks"][name] for name in MATRIX["attack"]]
    entries += filter(fractional, entries) if LADDERED else []  # crafted once more
    attacks = shlex.quote(json.dumps(entries * len(sources)))
    precision = config["compute"]["precision"]
    return f"{told} --attacks {attacks} --eps {' '.join(map(str, BUDGETS))} --precision {precision}"
