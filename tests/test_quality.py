"""What a cloak costs to the eye: published vectors, scikit-image, plain loops; the files and the table."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from cloakbench.errors import InputError
from cloakbench.measures.quality import (
    FINEST,
    NAMES,
    ORIGINAL,
    ciede2000,
    columns,
    delta_e,
    linf,
    measure,
    psnr,
    rmse,
    similarity,
    to_lab,
)
from cloakbench.publishing.store import store
from cloakbench.statistics.spread import spread


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """x = 20 + (2i + j + 40c) mod 200 and a chessboard of 8 grey levels."""
    i, j, c = np.meshgrid(np.arange(112), np.arange(112), np.arange(3), indexing="ij")
    x = 20 + (2 * i + j + 40 * c) % 200
    return x.astype(np.uint8), (x + np.where((i + j) % 2, -8, 8)).astype(np.uint8)


def noisy(seed: int, shape: tuple[int, ...], by: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 256, shape, dtype=np.uint8)
    return clean, np.clip(clean + rng.integers(-by, by + 1, shape), 0, 255).astype(np.uint8)


def test_the_vectors(pair):
    assert (linf(*pair), rmse(*pair)) == (8, 8)
    assert psnr(*pair) == pytest.approx(30.069004, abs=5e-7)
    assert similarity(*pair)[0] == pytest.approx(0.5990285102, abs=5e-11)
    assert ciede2000(*pair) == pytest.approx((2.573243, 3.101388), abs=5e-7)


def test_equal_pictures(pair):
    clean = pair[0]
    assert (linf(clean, clean), rmse(clean, clean), psnr(clean, clean)) == (0, 0, math.inf)
    assert similarity(clean, clean)[0] == 1 and ciede2000(clean, clean) == (0, 0)
    assert similarity(*2 * [noisy(0, (FINEST, FINEST, 3))[0]])[1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("shape", [(160, 160, 3), (61, 40, 3), (11, 11, 3)])
def test_scikit_image_says_the_same(shape):
    clean, shown = noisy(1, shape)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    expected = structural_similarity(clean, shown, data_range=255, **wang)
    assert similarity(clean, shown)[0] == pytest.approx(expected, abs=1e-12)
    assert psnr(clean, shown) == pytest.approx(peak_signal_noise_ratio(clean, shown), abs=1e-10)
    assert np.abs(to_lab(clean) - np.moveaxis(rgb2lab(clean), -1, 0)).max() < 1e-10
    expected = deltaE_ciede2000(rgb2lab(clean), rgb2lab(shown))
    assert ciede2000(clean, shown) == pytest.approx((expected.mean(), np.percentile(expected, 95)), abs=1e-9)


colours = st.tuples(st.floats(0, 100), st.floats(-128, 127), st.floats(-128, 127))


@given(colours, colours)
def test_any_two_colours_differ_as_in_scikit_image(one, other):
    expected = float(deltaE_ciede2000(np.array(one), np.array(other)))
    assert float(delta_e(np.array(one), np.array(other))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "one, other, expected",
    [  # of the test data of Sharma, Wu, Dalal (2005): hues on both sides of 0, a grey, the blue turn
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792),
        ((50, -0.0010, 2.4900), (50, 0.0009, -2.4900), 4.8045),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_sharmas_colours(one, other, expected):
    assert float(delta_e(np.array(one), np.array(other))) == pytest.approx(expected, abs=5e-5)


def halved(image):
    """Rows of the means of two by two; beyond the edge lies the edge."""
    height, width = image.shape
    for i in range(0, height, 2):
        rows = image[i], image[min(i + 1, height - 1)]
        yield [sum(row[j] + row[min(j + 1, width - 1)] for row in rows) / 4 for j in range(0, width, 2)]


def test_ms_ssim_by_plain_loops():
    clean, shown = noisy(2, (FINEST + 1, FINEST, 3), by=40)
    weights, found = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333], []
    window = np.array([math.exp(-(k**2) / 4.5) for k in range(-5, 6)])
    window = np.outer(window, window) / np.outer(window, window).sum()
    for channel in range(3):
        x, y, product = clean[..., channel].astype(float), shown[..., channel].astype(float), 1.0
        for scale, weight in enumerate(weights):
            factors = []
            for top in range(x.shape[0] - 10):
                for left in range(x.shape[1] - 10):
                    a, b = (image[top : top + 11, left : left + 11] for image in (x, y))
                    m, n = (window * a).sum(), (window * b).sum()
                    v, w = (window * a * a).sum() - m * m, (window * b * b).sum() - n * n
                    factor = (2 * ((window * a * b).sum() - m * n) + 58.5225) / (v + w + 58.5225)
                    if scale == 4:
                        factor *= (2 * m * n + 6.5025) / (m * m + n * n + 6.5025)
                    factors.append(factor)
            product *= np.mean(factors) ** weight
            x, y = (np.array(list(halved(image))) for image in (x, y))
        found.append(product)
    assert similarity(clean, shown)[1] == pytest.approx(np.mean(found), abs=1e-10)


def test_ms_ssim_is_no_number_where_its_window_does_not_fit():
    assert math.isnan(similarity(*noisy(3, (160, 200, 3)))[1])
    assert 0 < similarity(*noisy(3, (161, 200, 3)))[1] < 1


@pytest.fixture
def cell(tmp_path, rng):
    """Three faces, cloaked, both stored as JPEG."""
    clean = rng.integers(0, 256, (3, 40, 32, 3), dtype=np.uint8)
    cloaked = np.clip(clean + rng.integers(-8, 9, clean.shape), 0, 255).astype(np.uint8)
    people = pd.DataFrame({"subject": [0, 1, 2], "photo": 0})
    made = []
    for name, faces in (("cloaked", cloaked), ("clean", clean)):
        storage = {"format": "jpeg", "quality": 75, "subsampling": "4:2:0"}
        made += [store(faces, people, storage, tmp_path / name), tmp_path / name]
    return made, clean


def test_pictures_as_they_are_stored_are_compared(cell):
    made, clean = cell
    rows = measure(*made, clean)
    assert list(rows) == columns([]) and list(rows["subject"]) == [0, 1, 2]
    for row, file, original in zip(rows.itertuples(), made[0]["file"], clean, strict=True):
        shown, beside = (np.asarray(Image.open(folder / file).convert("RGB")).astype(int) for folder in made[1::2])
        assert row.linf == np.abs(shown - beside).max()
        assert row.rmse == pytest.approx(math.sqrt(((shown - beside) ** 2).mean()), abs=1e-6)
        assert row.original_rmse == pytest.approx(math.sqrt(((shown - original) ** 2).mean()), abs=1e-6)
    assert rows["ms_ssim"].isna().all() and rows["ssim"].between(0, 1).all()
    itself = measure(*made[2:], *made[2:], clean)
    assert (itself["psnr"] == np.inf).all() and (itself["original_rmse"] > 0).all()  # what storing alone costs


def test_a_resized_picture_has_no_original_beside_it(cell):
    made, _ = cell
    rows = measure(*made, np.zeros((3, 20, 16, 3), np.uint8))
    assert rows[[f"{ORIGINAL}{name}" for name in NAMES]].isna().all(axis=None) and rows["ssim"].notna().all()


def test_other_faces_and_changed_pictures_are_refused(cell):
    made, clean = cell
    with pytest.raises(InputError, match="holds other faces than"):
        measure(made[0].iloc[::-1].reset_index(drop=True), *made[1:], clean)
    with pytest.raises(InputError, match="holds other faces than"):
        measure(*made, clean[:2])
    (made[1] / made[0]["file"][1]).write_bytes(b"x")
    with pytest.raises(InputError, match="changed since it was stored"):
        measure(*made, clean)


def test_percentiles_are_some_faces():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.r_[rng.normal(size=40), [np.inf] * 5, [np.nan] * 3])
    frame = pd.DataFrame({"eps": 4, "psnr": values, "ms_ssim": np.nan})
    found = spread(frame, ["eps"], ["psnr", "ms_ssim"]).set_index("measure")
    known = sorted(value for value in values if not math.isnan(value))
    assert found.loc["psnr", "faces"] == 45 and found.loc["ms_ssim", "faces"] == 0
    for column, share in (("p5", 0.05), ("median", 0.5), ("p95", 0.95)):
        assert found.loc["psnr", column] == next(v for i, v in enumerate(known, 1) if i >= share * 45)
    assert found.loc["ms_ssim", ["p5", "median", "p95"]].isna().all()
