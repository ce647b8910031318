"""What a study's provenance says of what computed its files."""

from __future__ import annotations

import json
import runpy
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch
from PIL import Image

from cloakbench.errors import InputError
from cloakbench.files import seals
from cloakbench.files.writing import write_text
from cloakbench.jobs import devices
from cloakbench.measures.cells import read_psr
from cloakbench.photos import images
from cloakbench.photos.detectors import Detector
from cloakbench.publishing import store
from cloakbench.recognisers.architectures import build
from cloakbench.report import verify
from cloakbench.report.provenance import LIBRARIES, provenance
from cloakbench.report.settings import FORMAT, contradictions
from cloakbench.report.verify import differences, facts_of
from conftest import ROOT


@pytest.fixture
def noted(monkeypatch) -> dict:
    """What this process says of itself, as a job that has just begun."""
    monkeypatch.setattr(seals, "_read", {})
    monkeypatch.setattr(seals, "_facts", {})
    monkeypatch.setattr(seals, "_settings", {"stage": "any", "of": {}})
    return seals._facts


@pytest.fixture
def study(tmp_path, noted):
    """A table made from three files, one of which an older torch computed on an older processor."""
    for name, instructions, number in [("a", "AVX2", "2.14.0"), ("b", "AVX512", "2.15.0"), ("c", "AVX512", "2.15.0")]:
        seals.note(device=f"cpu, x86_64, {instructions}", torch=number, pillow="13.0.0")
        write_text(tmp_path / name, name)
    noted.clear()
    for name in "abc":
        seals.intact(tmp_path / name)
    write_text(tmp_path / "psr.csv", "")
    return tmp_path


def test_devices_and_versions_are_counted(study):
    found = provenance(study, [study / "psr.csv"], {}, {}, {})
    assert found["devices"] == {"cpu, x86_64, AVX2": 1, "cpu, x86_64, AVX512": 2}
    assert found["computed_with"]["torch"] == {"2.14.0": 1, "2.15.0": 2}
    assert found["computed_with"]["pillow"] == {"13.0.0": 3} and found["computed_with"]["timm"] == {}
    assert found["hardware"]["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_more_than_one_version_is_said(study, monkeypatch, capsys):
    output = study / "provenance.json"
    options = ["--study", study, "--config", "{}", "--about", "{}", "--code", "{}", "--output", output]
    options += ["--tables", study / "psr.csv"]
    monkeypatch.setattr(sys, "argv", ["provenance.py", *map(str, options)])
    runpy.run_path(str(ROOT / "scripts/provenance.py"), run_name="__main__")
    processors, versions = capsys.readouterr().out.splitlines()
    each = "computed with more than one torch: 2.14.0 (1 file) and 2.15.0 (2 files)"
    assert versions.startswith(f"{study}: {each}; each may round otherwise") and "AVX2 (1 file)" in processors
    assert each in json.loads(output.read_text())["mixed"]


def test_one_version_throughout_is_not_worth_a_line(tmp_path, noted):
    seals.note(device="cpu, x86_64, AVX2", torch="2.15.0")
    write_text(tmp_path / "psr.csv", "")
    assert provenance(tmp_path, [tmp_path / "psr.csv"], {}, {}, {})["mixed"] == []


def test_every_library_that_is_counted_is_noted_where_it_is_used(tmp_path, noted):
    assert not noted
    face = np.zeros((8, 8, 3), dtype=np.uint8)
    (tmp_path / "face.png").write_bytes(store.encode(face, {"format": "png"}))
    assert dict(noted) == {"pillow": version("pillow")}
    noted.clear()
    Image.fromarray(face).save(tmp_path / "photo.png")
    images.read_photo(tmp_path / "photo.png")
    assert dict(noted) == {"pillow": version("pillow")}
    noted.clear()
    build("timm/resnet10t", None)
    assert dict(noted) == {"timm": version("timm")}
    build("resnet50", None)
    Detector(devices.use("cpu", 1))
    images.read_photo(tmp_path / "photo.png")
    assert set(noted) == {"device", *LIBRARIES}


# ------------------------------------------------------------------------------------------------ other versions


def test_a_study_of_a_later_version_is_refused_in_one_line(tmp_path, noted):
    """By `verify` and by `summary`, and without a guess at what its numbers mean."""
    write_text(tmp_path / "provenance.json", json.dumps({"format": FORMAT + 1, "config": {}, "files": {}}))
    line = f"provenance.json: of format {FORMAT + 1}, as a later version of cloakbench writes it; this one reads format"
    with pytest.raises(InputError, match=line):
        facts_of(tmp_path)
    (found,) = differences(tmp_path)
    assert line in found and "\n" not in found


@pytest.mark.parametrize("arch, wrong", [("resnet50", []), ("senet50", ["model"])])
def test_a_seal_that_names_one_source_as_earlier_versions_did_is_compared(tmp_path, noted, monkeypatch, arch, wrong):
    """Their crafted files were made on one recogniser, `model`; now it is one of `sources`."""
    monkeypatch.setattr(seals, "_settings", {"stage": "path", "of": {"source": "a"}, "model": {"arch": arch}})
    write_text(tmp_path / "eps4.npy", "")
    found = list(contradictions([tmp_path / "eps4.npy"], {"models": {"a": {"arch": "resnet50"}}}, ()))
    assert len(found) == len(wrong) and all(f"made with another {name} than" in found[0] for name in wrong)


def test_provenance_has_a_number_for_its_format(study):
    assert provenance(study, [study / "psr.csv"], {}, {}, {})["format"] == FORMAT


def test_a_table_of_an_early_version_is_called_so(tmp_path, noted):
    write_text(tmp_path / "psr.csv", "source,attack,eps,storage,target,top_k,n,psr\n")
    with pytest.raises(InputError, match=r"psr\.csv: has no psr_photo and subjects: an earlier version"):
        read_psr(tmp_path / "psr.csv")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["gone", "no text"])
def test_rates_that_cannot_be_read_are_a_line_of_verify(tmp_path, content):
    """And no traceback before anything else is checked."""
    path = tmp_path / "psr.csv"
    if content:
        path.write_bytes(content)
    ((name, derive),) = verify._derivations(tmp_path, {"config": {}, "files": {}})
    (line,) = verify._derived(path, derive)
    assert name == "psr.csv" and line.startswith(f"{path}: cannot be derived anew (")
