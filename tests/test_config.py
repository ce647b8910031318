"""What a user can get wrong in a config: one line that names the key and what would do, before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.utils import update_config

from cloakbench.attacks.goals import GOALS
from cloakbench.attacks.losses import LOSSES
from cloakbench.attacks.starts import STARTS
from cloakbench.attacks.transforms import TRANSFORMS
from cloakbench.errors import InputError
from cloakbench.photos.datasets import LOADERS
from cloakbench.publishing.store import FORMATS, SUBSAMPLING
from cloakbench.recognisers.architectures import ARCHITECTURES, find
from cloakbench.recognisers.foreign.graphs import FORMS
from cloakbench.recognisers.heads import GALLERY_SCALE
from cloakbench.study.config import check_keys
from cloakbench.synthetic.small import SMALL
from conftest import ROOT, TOY, complete, job_counts, snakemake

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
WRONG = {
    "seeed: 1": ["'seeed' was unexpected", "known:", "seed"],
    "matrix: {epz: [4]}": ["matrix", "'epz' was unexpected", "eps"],
    "matrix: {eps: [0]}": ["matrix.eps[0]", "0 is less than the minimum of 1"],
    "matrix: {eps: [-4]}": ["matrix.eps[0]", "-4 is less than the minimum"],
    "matrix: {eps: [256]}": ["matrix.eps[0]", "256 is greater than the maximum of 255"],
    "matrix: {eps: [4, 4]}": ["matrix.eps", "non-unique"],
    "matrix: {eps: [4.5]}": ["matrix.eps[0]", "integer"],
    "matrix: {source: [facenett]}": ["matrix.source: 'facenett'", "known:", "facenet, resnet50"],
    "matrix: {target: [x]}": ["matrix.target: 'x'", "known:"],
    "matrix: {attack: [bimm]}": ["matrix.attack: 'bimm' is none", "known: affine_mi, away", "bim, bim_l2"],
    "matrix: {attack: [bim, bim_l2]}": ["matrix.attack: budgets in several norms (bim linf, bim_l2 l2)"],
    "matrix: {attack: [away]}": [
        "attacks.away.goal: away is about embeddings, and facenet has a softmax head",
        "gallery",
    ],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, nesterov: true}}": ["attacks.mine.nesterov", "momentum"],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, copies: 3}}": ["attacks.mine.copies: 3 equal copies"],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, views: [scale: {}]}}": ["attacks.mine.views: scale"],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, restarts: 3}}": ["attacks.mine.restarts", "set start"],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, kernel: 4}}": ["attacks.mine.kernel: 4", "odd"],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, step_size: 1, step_fraction: 0.1}}": [
        "attacks.mine.step_size would not be used beside step_fraction"
    ],
    "matrix: {attack: [mine]}\nattacks: {mine: {family: walk, views: [turn: {}]}}": ["attacks.mine.views[0]", "'turn'"],
    "matrix: {attack: [clean]}": ["matrix.attack: 'clean'", "known:"],
    "matrix: {storage: [gif]}": ["matrix.storage: 'gif'", "known: jpeg75"],
    "models: {facenet: {crop: tihgt}}": ["models.facenet.crop: 'tihgt'", "known: loose224, tight160"],
    "models: {facenet: {arch: vgg}}": ["models.facenet.arch: 'vgg'", "inception_resnet_v1"],
    "models: {facenet: {weights: nowhere.pt}}": ["models.facenet.weights: no file 'nowhere.pt'"],
    "models: {facenet: {weights: 'https://example.org/a.pt'}}": ["models.facenet.sha256: missing"],
    "models: {facenet: {head: gallery}}": ["models.facenet.head"],
    "models: {facenet: {arch: onnx}}": ["models.facenet.weights", "onnx", "not trained"],
    "models: {facenet: {arch: torch_export, weights: wrong.yaml, head: gallery, member: x}}": ["models.facenet.member"],
    "models: {facenet: {arch: torchscript}}": [
        "models.facenet.arch: torchscript",
        "torch.export.save(",
        "torch_export",
    ],
    "attacks: {clean: {family: iterative_sign, goal: untargeted}}": ["clean"],
    "attacks: {bim: {step_size: 0}}": ["attacks.bim.step_size", "minimum"],
    "attacks: {bim: {family: run}}": ["attacks.bim.family: 'run' is none", "known: iterative_sign, walk"],
    "attacks: {bim: {impulse: 1}}": ["attacks.bim: ", "'impulse'", "known: copies, family, goal"],
    "attacks: {bim: {family: iterative_sign, goal: untargeted, momentum: 1}}": ["'momentum'", "goal, step_size"],
    "ensembles: {two: {members: [facenet, nobody]}}": ["ensembles.two.members: 'nobody' is not in models"],
    "ensembles: {two: {members: [facenet]}}": ["ensembles.two.members"],
    "ensembles: {facenet: {members: [resnet50, senet50]}}": ["ensembles.facenet", "is in models too"],
    "ensembles: {two: {members: [resnet50, senet50], crop: wide}}": ["ensembles.two.crop: 'wide'", "tight160"],
    "ensembles: {two: {members: [facenet, senet50]}}": ["ensembles.two: senet50 sees loose224", "nothing but size"],
    "crops: {tight160: {size: 160, short_side: 150}}": ["crops.tight160: short_side 150 is below size 160"],
    "crops: {a: {size: 112, align: arcfcae}}": ["crops.a.align: 'arcfcae'", "'arcface', 'arcface96'"],
    "crops: {tight160: {align: arcface, margin: 0.1}}": ["crops.tight160.align: arcface takes no margin and no short"],
    "crops: {loose224: {align: arcface, margin: 0}}": [
        "crops.loose224.align: arcface takes no margin and no short_side"
    ],
    "crops: {a: {size: 100, align: arcface96}}": ["crops.a.size: 100; arcface96", "a multiple of 7"],
    "dataset: {loader: lwf}": ["dataset.loader: 'lwf'", "folder"],
    "dataset: {loader: folder}": ["dataset.root", "<root>/<identity>/<photo>"],
    "dataset: {loader: folder, root: /no/where}": ["dataset.root: no folder '/no/where'"],
    "dataset: {enrol: 1}": ["dataset.enrol: 1", "one photo an identity", "enrol_min: 1"],
    "dataset: {enrol: 4, enrol_min: 5}": ["dataset.enrol_min: 5 is more than dataset.enrol, 4"],
    "dataset: {enrol_min: 0}": ["dataset.enrol_min", "minimum of 1"],
    "models:\n  a: {arch: resnet50}\n  b: {arch: senet50}\n  a: {arch: senet50}": [
        "wrong.yaml, line 4: 'a' is there already, on line 2"
    ],
    "top_k: [1]\nattacks: {bim: {step_size: 1, step_size: 2}}": ["wrong.yaml, line 2: 'step_size'", "on line 2"],
    '{"seed": 1, "crops": {"x": {"size": 64, "size": 96}}}': ["wrong.yaml: 'size' is there twice"],
    "study: ../elsewhere": ["study", "../elsewhere"],
    "detection: {missed: ignored}": ["detection.missed", "whole_crop"],
    "compute: {device: tpu}": ["compute.device", "cuda"],
    "compute: {chunks: 3}": ["compute.chunks: 3", "16 faces make 1 batches of 16", "at most 1 accepted"],
    "top_k: [0]": ["top_k[0]", "minimum"],
}
GIVEN = "{arch: small_resnet, weights: given.pt, crop: tight160, mean: 127.5, std: 128"
ONE = "matrix: {source: [mine], attack: [bim], eps: [2], target: [mine]}\nmodels: {mine: " + GIVEN
UNUSED = {
    "top_k: [1, 64]": ["top_k: 64", "target facenet names 64 identities (dataset.identities)", "a k below 64"],
    "dataset: {identities: 40}": ["top_k: 50", "names 40 identities"],
    "storages: {jpeg75: {format: png, quality: 30}}": ["storages.jpeg75.quality: 30 would not be used", "remove it"],
    "storages: {x: {format: png, subsampling: '4:4:4'}}": ["storages.x.subsampling: '4:4:4' would not be used"],
    "storages: {x: {format: webp, subsampling: '4:4:4'}}": [
        "storages.x.subsampling: '4:4:4' would not be used",
        "4:2:0",
    ],
    "dataset: {root: photos}": ["dataset.root: 'photos' would not be used", "loader synthetic renders its photos"],
    "statistics: {reference: fgsm}": ["statistics.reference: 'fgsm' is not in matrix.attack; known: bim, illc"],
    "dataset: {draw: 2}": ["dataset.draw: 2 would not be used", "one draw without dataset.draws"],
    "dataset: {draws: 2, draw: 3}": ["dataset.draw: 3 is above dataset.draws, 2"],
    "dataset: {split: train}": ["dataset.split: 'train' would not be used", "loader synthetic has no splits"],
    "compute: {precision: tf32, device: cpu}": ["compute.precision: tf32 would not be used"],
    "models: {facenet: {scale: 32}}": ["models.facenet.scale: 32 would not be used", "softmax"],
    "models: {facenet: {scale: 0}}": ["models.facenet.scale", "0"],
    **{
        f"models: {{facenet: {{{key}: {value}}}}}": [f"models.facenet.{key}: '{value}' would not be used", "trained"]
        for key, value in {"sha256": "a" * 64, "md5": "f" * 32, "member": "x", "classes": "x.txt"}.items()
    },
    "dataset: {loader: folder, root: photos, identities: 8}": ["dataset.identities: 8 would not be used", "folder"],
    "dataset: {loader: lfw, root: photos, split: test}": ["dataset.split: 'test' would not be used", "lfw"],
    f"{ONE}, head: softmax, classes: six.txt}}}}\ndataset: {{loader: folder, root: photos, enrol_min: 1}}": [
        "dataset.enrol_min: 1 would not be used",
        "there is no gallery and nothing is trained",
    ],
    f"{ONE}, head: softmax, classes: six.txt}}}}\ndataset: {{loader: folder, root: photos, enrol: 3}}": [
        "dataset.enrol: 3 would not be used"
    ],
    f"{ONE}, head: gallery, classes: six.txt}}}}": ["models.mine.classes: 'six.txt' would not be used", "gallery"],
    f"{ONE}, head: gallery, sha256: {'a' * 64}, md5: {'a' * 32}}}}}": ["models.mine.md5", "sha256 is checked"],
    f"{ONE}, head: softmax, classes: six.txt}}}}": ["top_k: 50", "target mine names 6 identities (six.txt)", "below 6"],
    f"{ONE}, head: softmax, classes: twice.txt}}}}": ["models.mine.classes: twice.txt, line 2: a is on line 1"],
    f"{ONE}, head: softmax}}}}\ndataset: {{loader: vggface2, root: vggface2}}": ["names 2 identities", "identity_meta"],
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_config_is_refused_in_one_line(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        laid_over(tmp_path / "wrong.yaml")
    message = str(refused.value)
    assert message.startswith("config: ") and len(message.splitlines()) == 1
    for part in WRONG[text]:
        assert part in message


@pytest.mark.parametrize("text", [*WRONG][:2])
def test_a_user_reads_that_line_last(text, tmp_path):
    (tmp_path / "wrong.yaml").write_text(text)
    run = snakemake(tmp_path, "-n", "--configfile", tmp_path / "wrong.yaml")
    assert run.returncode != 0
    message = run.stderr.splitlines()[-1]
    assert message.startswith("cloakbench: config: ")
    for part in WRONG[text]:
        assert part in message
    assert not (tmp_path / "results").exists()


AS_TEXT = {
    "dataset={subjects: 3}": {"dataset": {"subjects": 3}},
    "top_k=[1]": {"top_k": [1]},
    "matrix={eps: [2, 5]}": {"matrix": {"eps": [2, 5]}},
    "detection={missed: drop}": {"detection": {"missed": "drop"}},
    "gate={clean_top1: 62.5}": {"gate": {"clean_top1": 62.5}},
    "models={senet50: {std: [1, 2.5, 3], mean: 127.5}}": {"models": {"senet50": {"std": [1, 2.5, 3], "mean": 127.5}}},
    "crops={tight160: {size: 96, margin: 0.1}}": {"crops": {"tight160": {"size": 96, "margin": 0.1}}},
    "seed=7": {"seed": 7},
    "dataset={root: null, subjects: 4}": {"dataset": {"root": None, "subjects": 4}},
}


@pytest.mark.parametrize("text", AS_TEXT)
def test_a_value_on_the_command_line_means_what_it_means_in_a_file(text):
    config, expected = shipped(), shipped()
    update_config(config, parse_config([text]))
    update_config(expected, AS_TEXT[text])
    assert complete(config) == complete(expected)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("dataset={subjects: three}", ["dataset.subjects: 'three'", "integer"]),
        ("top_k=[one]", ["top_k[0]: 'one'", "integer"]),
        ("matrix={eps: 4}", ["matrix.eps: 4", "array"]),
        ("gate={clean_top1: '[}'}", ["gate.clean_top1: '[}'", "number"]),
    ],
)
def test_what_means_nothing_there_is_refused(text, parts):
    config = shipped()
    update_config(config, parse_config([text]))
    with pytest.raises(InputError) as refused:
        complete(config)
    assert all(part in str(refused.value) for part in parts)


def test_the_command_line_of_a_user(tmp_path):
    run = snakemake(tmp_path, "-n", "--configfile", TOY, "--config", "dataset={subjects: 4}", "top_k=[1]")
    assert run.returncode == 0, run.stderr
    assert job_counts(run.stdout)["craft"] == 8


def test_home_is_home(given, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = checked("dataset: {loader: folder, root: ~/photos}")
    assert config["dataset"]["root"] == str(tmp_path / "photos")
    config = checked(f"{ONE}, head: softmax, classes: ~/six.txt}}}}\ntop_k: [1]".replace("given.pt", "~/given.pt"))
    assert config["models"]["mine"]["weights"] == str(tmp_path / "given.pt")
    with pytest.raises(InputError, match=r"dataset\.root: no folder '~nobody_here/photos'"):
        checked("dataset: {loader: folder, root: ~nobody_here/photos}")


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What a config may name: photos, weights, class lists."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "vggface2", "weights"):
        (tmp_path / folder).mkdir()
    for file in (
        "given.pt",
        *(f"weights/{name}.safetensors" for name in ("facenet_vggface2", "edgeface_xs", "dlib_resnet")),
    ):
        (tmp_path / file).touch()
    (tmp_path / "six.txt").write_text("a\nb\nc\nd\ne\nf\n")
    (tmp_path / "twice.txt").write_text("a\na\n")
    people = "n1, A, 3, 1, f\nn2, B, 3, 1, m\nn3, C, 3, 0, m\n"
    (tmp_path / "vggface2/identity_meta.csv").write_text(f"Class_ID, Name, Sample_Num, Flag, Gender\n{people}")


def shipped() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def laid_over(path: Path) -> dict:
    """What becomes of a config file that a user gives."""
    check_keys(path)
    config = shipped()
    update_config(config, yaml.safe_load(path.read_text()))
    return complete(config)


def checked(*studies: str) -> dict:
    """The config of studies laid over config.yaml, as the jobs get it."""
    config = shipped()
    for study in studies:
        update_config(config, yaml.safe_load(study))
    return complete(config)


@pytest.mark.parametrize("text", UNUSED)
def test_what_a_study_would_not_use_is_refused(text, given):
    with pytest.raises(InputError) as refused:
        checked(text)
    message = str(refused.value)
    assert message.startswith("config: ") and len(message.splitlines()) == 1
    for part in UNUSED[text]:
        assert part in message


@pytest.mark.parametrize(
    "text",
    [
        "dataset: {loader: folder, root: photos}",  # config.yaml's identities are everybody's
        "storages: {jpeg75: {format: png}}",  # and its quality
        f"{ONE}, head: gallery, scale: 10}}}}\ndataset: {{enrol_min: 2}}",
        # a source may name fewer: it is asked for its gradient
        f"{ONE}, head: softmax, classes: six.txt}}}}".replace("target: [mine]", "target: [facenet]"),
        f"{ONE}, head: softmax, classes: six.txt}}}}\ntop_k: [1, 5]",
        f"{ONE}, head: softmax}}}}\ndataset: {{loader: vggface2, root: vggface2, split: train}}\ntop_k: [1]",
    ],
)
def test_what_a_study_inherits_or_uses_is_accepted(text, given):
    config = checked(text)
    assert checked(yaml.safe_dump(config)) == config  # filled in, it is a study too


@pytest.mark.parametrize("file", sorted({path.name for path in ROOT.glob("workflow/studies/*.yaml")} - {"paper.yaml"}))
def test_shipped_studies_lie_over_lfw(file, given):
    """In the order that their own first lines tell."""
    text = (ROOT / "workflow/studies" / file).read_text()
    told = re.findall(r"workflow/studies/(\w+\.yaml)", text)
    files = [(ROOT / "workflow/studies" / name).read_text() for name in told]
    assert told[0] == "lfw.yaml" and told[-1] == file
    config = checked(*files, "dataset: {root: photos}")
    assert config["study"] == yaml.safe_load(text)["study"] and "facenet" in config["matrix"]["source"]


@pytest.mark.parametrize("file", ["workflow/studies/lfw.yaml", "workflow/studies/paper.yaml", "tests/toy.yaml"])
def test_shipped_studies_are_accepted(file, given):
    root = ["dataset: {root: photos}"] if "studies" in file else []
    config = checked((ROOT / file).read_text(), *root)
    scales = {model.get("scale") for model in config["models"].values()}
    assert scales == ({GALLERY_SCALE, None} if "lfw" in file else {None})
    assert config["storages"]["jpeg75"]["quality"] == 75


def test_two_cells_have_two_figures(tmp_path):
    """Of sources a, a_b and storages b_c, c."""
    model = "{arch: small_resnet, weights: trained, head: softmax, crop: tight160, mean: 127.5, std: 128}"
    (tmp_path / "figures.yaml").write_text(
        "matrix: {source: [a, a_b], attack: [bim], eps: [2], storage: [b_c, c], target: [a]}\n"
        f"models: {{a: {model}, a_b: {model}}}\nstorages: {{b_c: {{format: png}}, c: {{format: jpeg}}}}\n"
    )
    run = snakemake(tmp_path, "-n", "--configfile", tmp_path / "figures.yaml")
    assert run.returncode == 0 and job_counts(run.stdout)["curves"] == 4


def test_a_key_that_is_there_twice_is_found_in_every_file(tmp_path):
    """An anchor that is used twice, a merged mapping and two files with the same key are none of it."""
    (tmp_path / "first.yaml").write_text(
        "crops: {a: &a {size: 64, margin: 0}, b: *a, c: {<<: *a, size: 96}}\nseed: 1\n"
    )
    (tmp_path / "second.yaml").write_text("seed: 2\n")
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    run = snakemake(tmp_path, "-n", "--configfile", *files)
    assert run.returncode == 0, run.stderr
    files[0].write_text("seed: 1\nseed: 2\n")
    run = snakemake(tmp_path, "-n", "--configfile", *files)
    assert run.stderr.splitlines()[-1].endswith("first.yaml, line 2: 'seed' is there already, on line 1")


def test_the_default_study_is_the_papers_grid(tmp_path):
    counts = job_counts(snakemake(tmp_path, "-n").stdout)
    cells = 3 * 2 * 6
    assert counts["craft"] == counts["path"] == cells
    assert counts["store"] == counts["redetect"] == cells + 3  # clean ones
    assert counts["look"] == counts["classify"] == 3 * (cells + 3)


def test_the_schema_and_the_registries_name_the_same_things():
    model = SCHEMA["properties"]["models"]["additionalProperties"]["properties"]
    arch = model["arch"]["anyOf"][0]["enum"]
    assert set(arch) == {*ARCHITECTURES, *SMALL, *FORMS}
    assert all(find(name) for name in ARCHITECTURES)
    walk = yaml.safe_load((ROOT / "workflow/schemas/attacks/walk.schema.yaml").read_text())["properties"]
    assert set(walk["goal"]["enum"]) == set(GOALS) == set(LOSSES)
    assert set(walk["start"]["enum"]) | {"clean"} == set(STARTS)
    assert set(walk["views"]["items"]["properties"]) == set(TRANSFORMS)
    storage = SCHEMA["properties"]["storages"]["additionalProperties"]["properties"]
    assert set(storage["format"]["enum"]) == set(FORMATS)
    assert set(storage["subsampling"]["enum"]) == set(SUBSAMPLING)
    assert set(SCHEMA["properties"]["dataset"]["properties"]["loader"]["enum"]) <= set(LOADERS)
    assert f"without the key {GALLERY_SCALE:g}" in model["scale"]["description"]


def test_every_key_is_described():
    def undescribed(schema, path):
        for key, part in schema.get("properties", {}).items():
            if "properties" in part:
                yield from undescribed(part, f"{path}.{key}")
            elif "description" not in part and "$ref" not in part and "enum" not in part:
                yield f"{path}.{key}"

    assert list(undescribed(SCHEMA, "")) == []


def test_lint_finds_nothing(tmp_path):
    run = snakemake(tmp_path, "--lint", "--configfile", TOY)
    assert run.returncode == 0, run.stdout + run.stderr
