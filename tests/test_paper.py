"""The paper's study from one end to the other on a miniature VGGFace2, with stand-ins for its checkpoints.

Every checkpoint has its original's form and is fetched from a file server. The networks are full-size, for the whole
grid small ones, and untrained, and their inputs small: what is tested is the way, not the numbers.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from cloakbench.recognisers.architectures import build
from cloakbench.synthetic.render import render
from conftest import ROOT, snakemake
from test_checkpoints import add, caffe_weights, pickle_arrays, python2_pickle

pytestmark = pytest.mark.slow

IDENTITIES = [f"n{number:06d}" for number in range(2, 54)]
PAPER = ROOT / "workflow/studies/paper.yaml"


@pytest.fixture(scope="module")
def vggface2(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("VGGFace2")
    lines = ["Class_ID, Name, Sample_Num, Flag, Gender", 'n000001, "Somebody, Junior", 2, 0, m']
    for number, identity in enumerate(IDENTITIES):
        (root / "train" / identity).mkdir(parents=True)
        lines.append(f'{identity}, "Person_{number}", 2, 1, f')
        for photo in range(2):
            render(number, photo).save(root / "train" / identity / f"{photo + 1:04d}_01.jpg", quality=95)
    (root / "test" / "n000001").mkdir(parents=True)
    render(99, 0).save(root / "test/n000001/0001_01.jpg")
    (root / "identity_meta.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A server with facenet-pytorch's .pt, the archive of DAG files and a numpy pickle; file name to (URL, bytes)."""
    folder, classes = tmp_path_factory.mktemp("published"), len(IDENTITIES)
    torch.manual_seed(5)
    torch.save(build("inception_resnet_v1", classes).state_dict(), folder / "facenet.pt")
    dag = io.BytesIO()
    torch.save(caffe_weights("senet50", classes), dag, _use_new_zipfile_serialization=False)
    with tarfile.open(folder / "oxford.tar.gz", "w:gz", compresslevel=0) as tar:
        add(tar, "senet50_ft_dag/senet50_ft_dag.py", b"raise SystemExit")
        add(tar, "senet50_ft_dag/senet50_ft_dag.pth", dag.getvalue())
    (folder / "resnet50.pkl").write_bytes(python2_pickle(pickle_arrays(caffe_weights("resnet50", classes))))
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {file.name: (f"http://127.0.0.1:{server.server_port}/{file.name}", file) for file in folder.iterdir()}
    server.shutdown()


@pytest.fixture
def study(vggface2, published) -> dict:
    """The paper's study but for where things are, N, and the size of the inputs."""
    study = yaml.safe_load(PAPER.read_text())
    files = {"facenet": "facenet.pt", "resnet50": "resnet50.pkl", "senet50": "oxford.tar.gz"}
    for name, model in study["models"].items():
        url, file = published[files[name]]
        kind = "sha256" if "sha256" in model else "md5"
        model |= {"weights": url, kind: hashlib.new(kind, file.read_bytes()).hexdigest()}
    del study["models"]["resnet50"]["member"]  # the pickle is no archive
    return study | {
        "dataset": {"loader": "vggface2", "root": str(vggface2), "subjects": 2},
        "crops": {"tight160": {"size": 80}, "loose224": {"size": 64, "short_side": 72}},
        "gate": {"clean_top1": 0},
        "compute": {"device": "cpu", "batch": 2},
    }


def run(directory: Path, study: dict, *arguments: object):
    (directory / "study.yaml").write_text(yaml.safe_dump(study))
    return snakemake(directory, "--configfile", directory / "study.yaml", "--cores", 2, *arguments)


def test_the_published_checkpoints_end_in_table_1(tmp_path, study):
    """From their files to the tables, which name them; at one budget, for they are large."""
    done = run(tmp_path, study | {"matrix": {"eps": [4]}})
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/paper"
    table = pd.read_csv(results / "table1.csv")
    assert len(table) == 3 * (1 + 2) and len(table.columns) == 3 + 2 + 3 * 5
    text = (results / "table1.md").read_text()
    assert "oxford.tar.gz" in text and "facenet.pt" in text and "N = 2" in text and "seed 0" in text
    assert set(pd.read_csv(results / "subjects.csv")["identity"]) <= set(IDENTITIES)
    assert "clean top-1 of senet50 on 2 faces" in done.stdout + done.stderr
    assert "2 subjects are too few to tell a difference" in done.stdout + done.stderr


SMALL = {"facenet": "small_inception_resnet", "resnet50": "small_resnet", "senet50": "small_seresnet"}


def test_the_whole_grid_ends_in_table_1(tmp_path, study):
    """With small networks of the same names: a job reads a whole network, and the grid has hundreds of them."""
    for name, arch in SMALL.items():
        torch.manual_seed(5)
        save_file(build(arch, len(IDENTITIES)).state_dict(), tmp_path / f"{name}.safetensors")
        model = study["models"][name]
        study["models"][name] = {key: model[key] for key in ("head", "crop", "mean", "std")}
        study["models"][name] |= {"arch": arch, "weights": f"{name}.safetensors"}
    done = run(tmp_path, study | {"measures": []})
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/paper"
    table = pd.read_csv(results / "table1.csv")
    assert len(table) == 3 * (1 + 2 * 6) and len(table.columns) == 3 + 2 + 3 * 5
    page, markdown = (results / "comparison.md").read_text(), (results / "table1.md").read_text()
    assert "Statements of the paper" in page and len(pd.read_csv(results / "comparison.csv")) == 540
    for text in (page, markdown):
        assert "facenet.safetensors" in text and "senet50.safetensors" in text and "N = 2" in text and "seed 0" in text


def test_a_recogniser_that_does_not_know_the_faces_stops_the_study(tmp_path, study):
    study["gate"] = {"clean_top1": 80}
    done = run(tmp_path, study, "--until", "gate", "--keep-going")
    assert done.returncode != 0
    refused = [line for line in done.stderr.splitlines() if line.startswith("cloakbench gate: error:")]
    assert refused and all("at least 80 % wanted" in line and "gate.clean_top1" in line for line in refused)


WRONG = {
    "test identities": (lambda study: study["dataset"].update(split="test"), "no unit in a softmax head"),
    "no such server": (
        lambda study: study["models"]["facenet"].update(weights="http://127.0.0.1:9/facenet.pt"),
        "path of a local copy",
    ),
    "another hash": (
        lambda study: study["models"]["facenet"].update(sha256=hashlib.sha256().hexdigest()),
        "not the file",
    ),
    "another class list": (lambda study: study["models"]["facenet"].update(classes="list.txt"), "the class list 51"),
    "no class list": (lambda study: study["dataset"].update(loader="folder"), "models.facenet.classes: missing"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_named_before_the_long_work(tmp_path, study, mistake):
    (tmp_path / "list.txt").write_text("\n".join(IDENTITIES[1:]))
    change, message = WRONG[mistake]
    change(study)
    done = run(tmp_path, study, "results/paper/weights/facenet.safetensors")
    assert done.returncode != 0
    assert message in next(line for line in done.stderr.splitlines() if line.startswith("cloakbench"))
    assert not list(tmp_path.glob("resources/weights/0*")) and not (tmp_path / "results/paper/path").exists()
