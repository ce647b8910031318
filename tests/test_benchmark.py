"""The benchmark measures what it says, and is no part of a study."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import (
    attacks,
    crafters,
    crafting,
    jobs,
    memory,
    one_process,
    opponents,
    overhead,
    page,
    peers,
    sampling,
    startup,
)
from cloakbench.attacks import cost
from cloakbench.errors import InputError
from cloakbench.jobs import devices
from conftest import ROOT, job_counts, snakemake

MODEL = {"arch": "timm/resnet10t", "size": 32, "faces": 3, "mean": 127.5, "std": 128}
MEASURED = {"craft": 2, "attacks": 1, "memory": 1, "overhead": 1, "sampling": 1, "startup": 1, "page": 1}


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """What the workflow sets for its jobs."""
    monkeypatch.setenv("CLOAKBENCH_SCRIPTS", str(ROOT / "scripts"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'workflow/lib'}:{ROOT}")


def benchmark(directory, *arguments):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        ROOT / "benchmarks/Snakefile",
        "--directory",
        directory,
    ]
    return subprocess.run([*map(str, command), *arguments], capture_output=True, text=True, cwd=directory)


def test_a_workflow_of_its_own_asks_for_all_measurements(tmp_path):
    assert job_counts(benchmark(tmp_path, "-n").stdout) == MEASURED
    run = benchmark(tmp_path, "-n", "--config", "start=3")
    assert run.returncode and "benchmarks: 'start' is not known; accepted: repetitions, " in run.stderr


def test_a_study_that_speaks_of_it_is_told_where_it_went(tmp_path):
    run = snakemake(tmp_path, "-n", "--config", "benchmark={starts: 1}")
    assert run.stderr.strip().endswith("benchmark: is no part of a study; it has moved to benchmarks/config.yaml")


def test_budgets_together_need_the_gradients_of_the_paper():
    names = ("cloakbench fp32", "cloakbench bf16", "foolbox")
    assert [sum(crafting.gradients_of(name, eps) for eps in crafting.BUDGETS) for name in names] == [147, 147, 271]


@pytest.fixture(scope="module")
def crafted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crafting, "BUDGETS", [1, 2, 4])
        patch.setattr(crafting, "bf16_times", lambda setting: 1.0)  # a small network's timing is chance
        return crafting.measure(MODEL, 2, 2, tmp_path_factory.mktemp("craft"))


def test_everybody_crafts_the_same_faces(crafted):
    assert set(crafted["crafter"]) == {"cloakbench fp32", "cloakbench bf16", "bare loop", *opponents.OPPONENTS}
    assert len(crafted) == 6 * 3 * 2 and (crafted["cpu_seconds"] > 0).all()
    same = crafted.groupby("crafter")["as_ours"].min()
    assert same["cloakbench fp32"] == 1 and same[list(opponents.OPPONENTS)].min() > 0.9
    assert crafted.set_index("crafter")["as_ours"]["bare loop"].max() < 0.9  # it changes no face


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return attacks.measure(MODEL, list(peers.PEERS), [4, 8], 1, 2, tmp_path_factory.mktemp("attacks"))


@pytest.mark.slow
def test_peers_compute_the_gradients_of_the_attack(compared):
    assert {*compared["attack"]} == {*peers.PEERS} and (compared["cpu_seconds"] > 0).all()
    table = attacks.compare(compared).set_index("attack")
    assert table.loc["bim", ["gradients", "theirs"]].tolist() == [5 + 10 - 4, 5 + 10]
    assert table.loc["si_ni", ["gradients", "theirs"]].tolist() == [55, 75]
    assert table["shares"].sum() == len(table) - 2 and table.loc["pgd1", "gradients"] == 40
    wrong = compared.assign(gradients=compared["gradients"].where(compared["crafter"] == attacks.OURS, 3))
    with pytest.raises(ValueError, match=r"3\.?0? gradients where bim has 5"):
        attacks.compare(wrong)


def test_bf16_is_left_out_where_it_is_slower_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(crafting, "BUDGETS", [1])
    monkeypatch.setattr(crafting, "installed", dict)
    monkeypatch.setattr(cost, "seconds_a_gradient", lambda network, *_: 11.4 if network.dtype == torch.bfloat16 else 1)
    rows = crafting.measure(MODEL, 1, 2, tmp_path)
    assert set(rows["crafter"]) == {"cloakbench fp32", "bare loop"} and set(rows["bf16_times"]) == {11.4}
    assert "bf16" not in page.markdown(page.crafting(rows)) and page.crafting(rows)["x bf16"].isna().all()
    said = page.in_bf16(page.precision(rows))
    assert said.startswith(f"Crafted on {devices.name(torch.device('cpu'))}; ")
    assert "in bf16 took 11.4 times as long as in fp32, so nothing was crafted in bf16." in said


def test_the_page_names_the_instruction_set_that_crafted(crafted):
    said = page.in_bf16(page.precision(crafted))
    assert torch.backends.cpu.get_cpu_capability() in said and "nothing" not in said


def test_a_missing_library_has_a_row_that_says_so(monkeypatch, crafted):
    monkeypatch.setattr(opponents, "find_spec", lambda module: None if module == "foolbox" else object())
    assert set(opponents.installed()) == {"torchattacks", "adversarial-robustness-toolbox"}
    table = page.crafting(crafted[crafted["crafter"] != "foolbox"])
    line = next(line for line in page.markdown(table).splitlines() if "foolbox" in line)
    assert "not installed" in line


def test_ratios_follow_from_the_measurements():
    turns = [("cloakbench fp32", 1, 2.0), ("cloakbench bf16", 1, 1.0), ("foolbox", 2, 8.0), ("bare loop", 1, 1.8)]
    rows = [(name, 0, 4, n, 2 * cpu, cpu, 1, 4, 1.0) for name, n, cpu in turns]
    rows += [(name, 0, 8, n, 2 * cpu, 3 * cpu if name == "foolbox" else cpu, 0, 4, 0.5) for name, n, cpu in turns]
    rows = pd.DataFrame(rows, columns=crafting.COLUMNS)
    table = page.crafting(rows).set_index("crafter")
    assert table.loc["foolbox", ["x fp32", "x bf16", "PSR, %"]].tolist() == [8, 16, 87.5]
    assert table.loc["foolbox", ["min", "median", "max"]].tolist() == [4, 8, 12]
    assert page.floor(rows)["share"].item() == pytest.approx(90)


def test_the_network_of_a_library_is_the_same_function(tmp_path):
    setting = crafters.prepare(MODEL, 2, tmp_path)
    ours = setting.recogniser()
    x = torch.randint(0, 256, (2, 3, 32, 32)).float()
    torch.testing.assert_close(crafters.user_network(setting)(x / 255), ours(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stage", jobs.JOBS)
def test_measured_jobs_are_real_jobs(small_study, stage):
    assert startup.run("warm", stage, small_study) > 0
    assert (small_study / jobs.JOBS[stage]["output"]).exists()


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    jobs.make_inputs(directory, 3)
    return directory


def test_memory_that_a_job_holds_is_seen_and_mapped_files_are_not(tmp_path):
    np.save(tmp_path / "file.npy", np.zeros(100_000_000, dtype=np.uint8))
    job = tmp_path / "job.py"
    job.write_text("import time, numpy as np; f = np.load('file.npy', mmap_mode='r'); f.sum(); time.sleep(0.2)\n")
    _, mapped, resident = memory.watch([str(job)], tmp_path)
    job.write_text("import time; held = bytearray(b'1') * 100_000_000; time.sleep(0.2)\n")
    _, held, _ = memory.watch([str(job)], tmp_path)
    assert mapped < 80 < 100 < resident and held > 95
    job.write_text("raise SystemExit('no luck')\n")
    with pytest.raises(InputError, match="no luck"):
        memory.watch([str(job)], tmp_path)


def test_the_commands_of_a_run_are_repeated_in_one_process(tmp_path, monkeypatch, capfd):
    script = tmp_path / "say.py"
    script.write_text("import sys; print(sys.argv[1:]); sys.exit(0)\n")
    monkeypatch.setenv("CLOAKBENCH_SCRIPTS", str(tmp_path))
    printed = (
        f"rule a:\n        {overhead.LAUNCHER}$CLOAKBENCH_SCRIPTS/say.py --cell '{{\"a\": 1}}' --threads 1\n[date]\n"
    )
    commands = [
        overhead.with_threads(words, 2) for words in overhead.jobs(printed, {"CLOAKBENCH_SCRIPTS": str(tmp_path)})
    ]
    one_process.run_in_this_process(commands)
    assert capfd.readouterr().out == "['--cell', '{\"a\": 1}', '--threads', '2']\n"


def test_subjects_are_drawn_from_among_empty_files():
    row = sampling.measure(folders=4, photos=3, subjects=2).iloc[0]
    assert (row["files"], row["subjects"]) == (12, 2)
