"""What strangers may hand in: names of people and files, config values, files of every kind. Nothing of it is run,
nothing is written outside of results/ and logs/, and what is refused is refused in one line."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.photos.detectors import Detection
from cloakbench.photos.images import FORMATS, read_photo
from cloakbench.photos.sample import Photo, read_photos, write_photos
from cloakbench.recognisers.architectures import build
from cloakbench.recognisers.checkpoints import read_checkpoint
from cloakbench.study.classes import read_classes
from cloakbench.synthetic.render import render
from conftest import ROOT, complete, snakemake

FUZZ = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# ------------------------------------------------------------------------------------------------ a hostile data set

IDENTITIES = [
    *(
        "two words",
        'it\'s "quoted"',
        ";$(touch pwned)",
        "`touch pwned`",
        "=cmd('touch pwned')",
        "@SUM(A1)",
        "-rf",
        "+1",
    ),
    *("<script>alert(1)", "\\input{pwned}", "..%2f", "Zoë 写真", "NA", "'=x", "{x}"),
]
PATHS = "data $(touch pwned) `touch pwned` 'it' \"is\" {x} ;touch pwned; & <b> \\input{y} #~"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory) -> Path:
    """A finished study of photographs, weights and a class list whose names want to do harm."""
    directory = tmp_path_factory.mktemp("hostile")
    data = directory / PATHS
    for number, identity in enumerate(IDENTITIES):
        (data / "photos" / identity).mkdir(parents=True)
        for photo in range(3):
            render(number, photo, 0).save(data / "photos" / identity / f"=1+{photo}; touch pwned.jpg", quality=90)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("small_resnet", len(IDENTITIES))
    safetensors.torch.save_file(network.state_dict(), data / "weights.safetensors")
    (data / "classes.txt").write_text("\n".join(sorted(IDENTITIES)))
    model = {
        "arch": "small_resnet",
        "weights": f"{data.name}/weights.safetensors",
        "crop": "tight160",
        "mean": 127.5,
        "std": 128,
    }
    study = yaml.safe_load((ROOT / "tests/faults.yaml").read_text()) | {
        "study": "hostile",
        "dataset": {"loader": "folder", "root": f"{data.name}/photos", "subjects": 8, "enrol": 2},
        "models": {
            "named": model | {"head": "softmax", "classes": f"{data.name}/classes.txt"},
            "enrolled": model | {"head": "gallery"},
        },
    }
    study["matrix"] |= {"source": ["named"], "target": ["enrolled"], "eps": [2]}
    (directory / "study.yaml").write_text(yaml.safe_dump(study, allow_unicode=True))
    run = snakemake(directory, "--cores", 2, "--configfile", directory / "study.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return directory


def test_nothing_that_is_named_in_data_or_config_runs(hostile):
    assert not list(hostile.rglob("pwned*")) and not list(ROOT.glob("pwned*"))
    made = {"results", "resources", "logs", ".snakemake", ".cache"}
    assert {path.name for path in hostile.iterdir()} <= made | {"study.yaml", PATHS}


def test_names_stay_what_they_are(hostile):
    enrolment = read_photos(hostile / "results/hostile/enrolment.csv")
    assert set(enrolment["identity"]) <= set(IDENTITIES) and enrolment["identity"].nunique() > 10
    assert all((hostile / PATHS / "photos" / file).is_file() for file in enrolment["file"])


def test_no_cell_of_a_csv_is_a_formula(hostile):
    tables = [*(hostile / "results").rglob("*.csv")]
    cells = {cell for table in tables for row in csv.reader(table.open(newline="")) for cell in row}
    texts = {cell for cell in cells if not re.fullmatch(r"-?[\d.]+(e-\d+)?", cell)}
    assert "'=cmd('touch pwned')" in texts and len(tables) > 8
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_tables_show_hostile_paths_as_text(hostile):
    study = hostile / "results/hostile"
    markdown, latex = (study / "table1.md").read_text(), (study / "table1.tex").read_text()
    assert "\\<b\\>" in markdown and not re.search(r"(?<!\\)[<`]", markdown)
    assert r"\textbackslash{}input\{y\}" in latex and r"\input" not in latex
    assert not re.search(r"(?<!\\)[#&~](?!\\)", latex.split(r"\caption{")[1].split("\n")[0])


def test_stored_pictures_are_numbered_not_named(hostile):
    names = {path.name for path in (hostile / "results/hostile/stored").rglob("*.jpg")}
    assert names == {f"{subject:05d}_00.jpg" for subject in range(8)}


def test_the_checkout_may_lie_anywhere(tmp_path):
    """In a folder whose name a shell would take apart."""
    root = tmp_path / "my $(touch pwned) projects; 'here'"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "results", "logs", "__pycache__", "docs"))
    (tmp_path / "small.yaml").write_text("dataset: {identities: 2}\ntop_k: [1]")
    options = ["--cores", 1, "--configfile", tmp_path / "small.yaml", "--", "results/demo/photos"]
    run = snakemake(tmp_path / "work", *options, root=root)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not list(tmp_path.rglob("pwned*"))


# ------------------------------------------------------------------------------------------------ config

DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
MAKERS = [
    "study: !!python/object/apply:os.system ['touch pwned']",
    "study: !!python/name:os.system",
    "study: &a [*a]",
]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([4.0, 0.0, -0.0, float("nan"), float("inf"), 10**30])
    | st.text(max_size=12)
    | st.sampled_from(
        ["../x", "/etc/passwd", "a/b", "x\n", "$(touch pwned)", "-x", "trained", "file:///x", "https://x/", ".", ""]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def places(config: object, path: tuple = ()) -> list[tuple]:
    """Every key of a nested config, as the keys that lead there."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    return [place for key, value in items for place in ((*path, key), *places(value, (*path, key)))]


@FUZZ
@given(st.lists(st.tuples(st.sampled_from(places(DEFAULT)), values), min_size=1, max_size=3), st.booleans())
def test_a_config_is_accepted_or_refused_in_one_line(changes, deeper):
    config = copy.deepcopy(DEFAULT)
    for (*path, last), value in changes:
        place = config
        for key in path:
            place = place[key] if isinstance(place, dict) and key in place else {}
        if isinstance(place, dict):
            place[str(value)[:10] if deeper else last] = value
    try:
        complete(config)
    except InputError as refused:
        assert str(refused).startswith("config: ") and len(str(refused).splitlines()) == 1
        assert len(str(refused)) < 1000
        return
    assert re.fullmatch(r"[A-Za-z0-9][\w.-]*", config["study"], re.ASCII)
    for key, chosen in config["matrix"].items():
        assert all(
            isinstance(name, int) if key == "eps" else re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) for name in chosen
        )
    json.dumps(config, allow_nan=False)


@pytest.mark.parametrize("text", MAKERS)
def test_a_config_file_runs_nothing(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text)
    run = snakemake(tmp_path, "-n", "--configfile", tmp_path / "study.yaml")
    assert run.returncode != 0 and not (tmp_path / "pwned").exists()


# ------------------------------------------------------------------------------------------------ files


def encoded(form: str) -> bytes:
    file, picture = io.BytesIO(), Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3))
    picture.save(file, form)
    return file.getvalue()


def checkpoints() -> dict[str, bytes]:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    forms: dict[str, bytes] = {"safetensors": safetensors.torch.save(state)}
    for name, new in (("zip", True), ("legacy", False)):
        file = io.BytesIO()
        torch.save(state, file, _use_new_zipfile_serialization=new)
        forms[name] = file.getvalue()
    forms["pickle"] = pickle.dumps({name: tensor.numpy() for name, tensor in state.items()}, protocol=2)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../pwned.pkl")
        entry.size = len(forms["pickle"])
        archive.addfile(entry, io.BytesIO(forms["pickle"]))
    return forms | {"tar": file.getvalue()}


PICTURES = {form: encoded(form) for form in FORMATS}
CHECKPOINTS = checkpoints()
LISTS = {
    "names": b"a\nb\nc\n",
    "meta": b"Class_ID, Name, Sample_Num, Flag, Gender\nn000001, x, 3, 1, f\nn000002, y, 4, 0, m\n",
}
damage = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8), st.integers(0, 40)), min_size=1, max_size=4)


def damaged(data: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    """At each place (a share of the length) some bytes are left out and others put in."""
    for place, new, lost in changes:
        at = int(place * len(data))
        data = data[:at] + new + data[at + lost :]
    return data


def one_line(error: InputError) -> None:
    assert len(str(error).splitlines()) == 1 and "file" in str(error)


@FUZZ
@given(st.sampled_from(sorted(PICTURES)), damage)
def test_a_photo_is_read_or_refused_in_one_line(tmp_path, form, changes):
    path = tmp_path / "file"
    path.write_bytes(damaged(PICTURES[form], changes))
    try:
        assert read_photo(path).mode == "RGB"
    except InputError as error:
        one_line(error)


@FUZZ
@given(st.sampled_from(sorted(CHECKPOINTS)), damage | st.just([]))
def test_a_checkpoint_is_refused_in_one_line(tmp_path, form, changes):
    """None of these fits an architecture: what is not damaged lacks its tensors."""
    path = tmp_path / "file"
    path.write_bytes(damaged(CHECKPOINTS[form], changes))
    with pytest.raises(InputError) as refused:
        read_checkpoint(path, "resnet50")
    one_line(refused.value)
    assert {entry.name for entry in tmp_path.iterdir()} == {"file"}


@FUZZ
@given(st.sampled_from(sorted(LISTS)), damage)
def test_a_class_list_is_read_or_refused_in_one_line(tmp_path, form, changes):
    path = tmp_path / "file"
    path.write_bytes(damaged(LISTS[form], changes))
    try:
        classes = read_classes(path)
    except InputError as error:
        one_line(error)
    else:
        assert classes and len(set(classes)) == len(classes)


@FUZZ
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1))
def test_any_name_survives_subjects_csv(tmp_path, name):
    photo = Photo(name, f"{name}/1.jpg", "0" * 64, Detection(1, 2, 3, 4, 0.9))
    write_photos(tmp_path / "subjects.csv", pd.DataFrame([photo.row()]))
    assert list(read_photos(tmp_path / "subjects.csv")["identity"]) == [name]


def test_a_photo_that_starts_a_program_is_not_opened(tmp_path):
    """Pillow hands EPS to Ghostscript; here it is nobody's photo."""
    Image.new("RGB", (30, 30)).save(tmp_path / "face.eps")
    (tmp_path / "face.eps").rename(tmp_path / "face.jpg")
    with pytest.raises(InputError, match="not an image of a known form; accepted: JPEG"):
        read_photo(tmp_path / "face.jpg")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    """A header that promises 50,000 x 50,000 pixels, 7.5 GB once they are decoded."""
    path = tmp_path / "bomb.bmp"
    picture = bytearray(encoded("BMP"))
    picture[18:26] = (50_000).to_bytes(4, "little") * 2
    path.write_bytes(picture)
    with pytest.raises(InputError, match=r"bomb\.bmp: more than 100,000,000 pixels"):
        read_photo(path)
