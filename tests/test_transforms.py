"""Views against the programs that they imitate: Pillow's JPEG and its filter; places computed one by one."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cloakbench.attacks.jpeg import LUMA, jpeg, tables
from cloakbench.attacks.kernels import gaussian
from cloakbench.attacks.transforms import TRANSFORMS, Affine, Jpeg, ResizePad, Scale, between
from cloakbench.synthetic.render import render

GENERATOR = torch.Generator().manual_seed(1)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(render(3, 0).resize((160, 160), Image.Resampling.BILINEAR))


def tensor(face: np.ndarray) -> torch.Tensor:
    return torch.tensor(face.astype(np.float32)).permute(2, 0, 1)[None]


def through_pillow(face: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file)).astype(int)


@pytest.mark.parametrize("quality", [30, 60, 75, 90, 95])
@pytest.mark.parametrize("side", [160, 112, 150])
def test_jpeg_is_nearly_pillows(photo, quality, side):
    """Its transforms are of integers and round in between: of all values 96 % lie within 3 grey levels, and what is
    left is small beside what storing does."""
    face = np.asarray(Image.fromarray(photo).resize((side, side)))
    found = jpeg(tensor(face), [quality])[0].permute(1, 2, 0).numpy()
    apart = np.abs(found - through_pillow(face, quality))
    assert np.array_equal(found, found.round()) and (apart <= 3).mean() > 0.96 and apart.mean() < 0.8
    assert apart.mean() < 0.5 * np.abs(face.astype(int) - through_pillow(face, quality)).mean()


def test_a_face_has_a_quality_of_its_own(photo):
    both = jpeg(tensor(photo).repeat(2, 1, 1, 1), [30, 90])
    for face, quality in zip(both, (30, 90), strict=True):
        assert torch.equal(face, jpeg(tensor(photo), [quality])[0])


@pytest.mark.parametrize("quality", [1, 10, 50, 75, 100])
def test_tables_are_those_in_pillows_files(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    written = Image.open(file).quantization[0]
    assert tables(LUMA, [quality]).flatten().tolist() == written


def test_jpeg_lets_gradients_through(photo):
    x = tensor(photo).requires_grad_()
    (jpeg(x, [75]) * tensor(photo)).sum().backward()
    assert x.grad.isfinite().all() and (x.grad != 0).float().mean() > 0.99


def test_qualities_are_drawn_from_both_ends_on(photo):
    seen = {Jpeg([60, 62]).low + int(u * 3) for u in torch.rand(200, generator=GENERATOR).tolist()}
    assert seen == {60, 61, 62}
    lowest = Jpeg([60, 62])(tensor(photo), 0, lambda *shape: torch.zeros(1, *shape))
    highest = Jpeg([60, 62])(tensor(photo), 0, lambda *shape: torch.full((1, *shape), 0.999999))
    assert torch.equal(lowest, jpeg(tensor(photo), [60])) and torch.equal(highest, jpeg(tensor(photo), [62]))


@pytest.mark.parametrize("size, place", [(0.0, 0.0), (0.4, 0.3), (0.99, 0.99)])
def test_resize_and_pad_is_what_pillow_does(photo, size, place):
    """Enlarged, padded, brought back, in float pictures of one channel."""
    drawn = torch.tensor([[0.0, size, place, place]])
    found = ResizePad(high=1.2, prob=1, zero=20)(tensor(photo), 0, lambda *shape: drawn)[0]
    enlarged = 160 + int(size * 32)
    at = int(place * (192 - enlarged + 1))
    for channel in range(3):
        grown = Image.fromarray(photo[:, :, channel].astype(np.float32)).resize((enlarged,) * 2, Image.BILINEAR)
        canvas = Image.new("F", (192, 192), 20)
        canvas.paste(grown, (at, at))
        expected = np.asarray(canvas.resize((160, 160), Image.BILINEAR))
        np.testing.assert_allclose(found[channel].numpy(), expected, atol=0.01)


def test_the_padding_is_as_often_as_it_is_asked_for(photo):
    view = ResizePad(prob=0.5)
    draws = torch.rand(64, 4, generator=GENERATOR)
    x = tensor(photo).repeat(64, 1, 1, 1)
    moved = (view(x, 0, lambda *shape: draws) != x).flatten(1).any(dim=1)
    assert torch.equal(moved, draws[:, 0] < 0.5)


def test_scaled_copies():
    x = torch.tensor([[[[127.5, 255.0, 0.0]]]])
    assert Scale()(x, 2, None).flatten().tolist() == [127.5, 159.375, 95.625]
    assert Scale(zero=0)(x, 1, None).flatten().tolist() == [63.75, 127.5, 0.0]


def test_affine_turns_around_the_middle(photo):
    """A quarter turn is exact; half a turn brings the corners across; nothing drawn is nothing done."""
    x = tensor(photo)

    def drawn(*numbers):
        return lambda *shape: (torch.tensor([numbers]) + 1) / 2

    quarter = Affine(rotate=90, shift=0, scale=0)(x, 0, drawn(1.0, 0.0, 0.0, 0.0))
    torch.testing.assert_close(quarter, torch.rot90(x, 1, (2, 3)), atol=1e-3, rtol=0)
    moved = Affine(rotate=0, shift=0.1, scale=0)(x, 0, drawn(0.0, 1.0, 0.0, 0.0))
    torch.testing.assert_close(moved[..., 16:], x[..., :-16], atol=1e-3, rtol=0)
    assert torch.equal(Affine()(x, 0, drawn(0.0, 0.0, 0.0, 0.0)), x)


def test_between_pixels_is_grid_sample(photo):
    read = 170 * torch.rand(2, 1, 9, 7, generator=GENERATOR, dtype=torch.float64) - 5
    found = between(tensor(photo), *read)
    grid = torch.stack([2 * read[0] / 159 - 1, 2 * read[1] / 159 - 1], dim=-1).float()
    expected = torch.nn.functional.grid_sample(tensor(photo), grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_view_mixes_faces(photo, name):
    """Of a batch each face is seen as it is alone, by its own draws."""
    view, draws = TRANSFORMS[name](), torch.rand(3, 4, generator=GENERATOR)
    x = tensor(photo) + torch.arange(3.0)[:, None, None, None]
    together = view(x, 1, lambda count: draws[:, :count])
    for face in range(3):
        alone = view(x[face : face + 1], 1, lambda count, face=face: draws[face : face + 1, :count])
        torch.testing.assert_close(alone[0], together[face], atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [3, 7, 15])
def test_the_kernel_is_a_normal_density(side):
    from scipy.stats import norm

    line = norm.pdf(np.linspace(-3, 3, side))
    np.testing.assert_allclose(gaussian(side), np.outer(line, line) / np.outer(line, line).sum(), rtol=1e-6)
