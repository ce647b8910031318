"""What an ensemble's member sees of the canvas is what its own crop of the face would be, but for what is not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from cloakbench.photos.crops import cut
from cloakbench.photos.detectors import Detection
from cloakbench.recognisers.views import view, whole
from cloakbench.study.sources import resizable
from cloakbench.synthetic.render import render


@pytest.mark.parametrize(
    ("canvas", "size"), [((224, 224), (112, 112)), ((160, 160), (96, 120)), ((64, 48), (130, 100))]
)
def test_a_view_is_pillows_bilinear_resize_unrounded(canvas, size, rng):
    picture = rng.uniform(0, 255, (2, 3, *canvas)).astype(np.float32)
    found = view(canvas, size)(torch.from_numpy(picture))
    for face in range(2):
        for channel in range(3):
            plane = Image.fromarray(picture[face, channel])
            expected = np.asarray(plane.resize(size[::-1], Image.Resampling.BILINEAR))
            np.testing.assert_allclose(found[face, channel], expected, atol=2e-4)
    assert view(canvas, canvas) is whole


def test_its_gradient_is_the_transpose():
    look = view((40, 40), (16, 16))
    x = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(look, x, atol=1e-6)


@pytest.mark.parametrize(
    ("canvas", "own"),
    [({"size": 224, "margin": 0.3, "short_side": 256}, {"size": 112, "margin": 0.3, "short_side": 128}),
     ({"size": 160, "margin": 0}, {"size": 112, "margin": 0})],
)  # fmt: skip
def test_a_member_sees_about_what_its_own_crop_would_be(canvas, own):
    assert resizable(canvas, own)
    photo, face = render(3, 1), Detection(60.0, 50.0, 180.0, 200.0, 1.0)
    on_canvas = torch.from_numpy(cut(photo, face, canvas).transpose(2, 0, 1)[None].astype(np.float32))
    seen = view((canvas["size"],) * 2, (own["size"],) * 2)(on_canvas)[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - cut(photo, face, own)).mean() < 2.5  # grey levels: smoothed twice


def test_other_crops_are_no_resized_ones():
    loose = {"size": 224, "margin": 0.3, "short_side": 256}
    for other in (
        {"size": 224, "margin": 0.3},
        {"size": 224, "margin": 0.2, "short_side": 256},
        {"size": 112, "margin": 0.3, "short_side": 112},
    ):
        assert not resizable(loose, other)
    assert not resizable({"size": 112, "margin": 0, "align": "arcface"}, {"size": 112, "margin": 0})
