"""The real FaceNet and EdgeFace on real photographs, when they are there."""

from __future__ import annotations

import pandas as pd
import pytest

from conftest import REAL, ROOT, needs_real, snakemake


@pytest.mark.slow
@needs_real
def test_the_study_on_real_photographs(tmp_path):
    """Few subjects of many: clean faces are recognised, white-box BIM protects, ILLC at eps 4 protects less."""
    (tmp_path / "weights").symlink_to(REAL / "weights")
    dataset = f"dataset: {{root: {REAL / 'lfw62x20'}, subjects: 6, enrol: 4}}"
    (tmp_path / "small.yaml").write_text(f"study: real\nmatrix: {{eps: [4, 8]}}\n{dataset}\n")
    study = ROOT / "workflow/studies/lfw.yaml"
    run = snakemake(tmp_path, "--cores", 2, "--configfile", study, tmp_path / "small.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    psr = pd.read_csv(tmp_path / "results/real/psr.csv").query("top_k == 1").set_index(["attack", "eps"])
    own = psr[psr["source"] == psr["target"]]["psr"]
    assert psr.loc[("clean", 0), "psr"].max() <= 20  # at most one of six
    assert own.loc[("bim", 8)].min() >= 80
    assert own.loc[("illc", 4)].mean() <= own.loc[("bim", 4)].mean()
