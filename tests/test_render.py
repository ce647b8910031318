"""Rendered faces: the same numbers give the same pixels, people differ, and the real detector finds them."""

from __future__ import annotations

import numpy as np
import pytest

from cloakbench.synthetic.render import SIDE, render


def pixels(*numbers: int) -> np.ndarray:
    return np.asarray(render(*numbers), dtype=np.int64)


def test_the_same_numbers_give_the_same_photo():
    first, again = render(3, 5, seed=1), render(3, 5, seed=1)
    assert first.mode == "RGB" and first.size == (SIDE, SIDE)
    assert first.tobytes() == again.tobytes()


def test_identity_photo_and_seed_each_change_the_photo():
    reference = pixels(3, 5, 1)
    for other in ((4, 5, 1), (3, 6, 1), (3, 5, 2)):
        assert np.abs(pixels(*other) - reference).mean() > 2, other


@pytest.mark.parametrize("seed", [0, 1])
def test_two_photos_of_one_person_are_closer_than_photos_of_two_people(seed):
    """In the colour of the cheek, which light changes little; over many people, since two may look alike."""
    cheek = np.array([[pixels(i, j, seed)[120:130, 100:140].mean((0, 1)) for j in range(2)] for i in range(20)])
    same = np.abs(cheek[:, 0] - cheek[:, 1]).mean()
    different = np.abs(cheek[:, 0] - np.roll(cheek[:, 1], 1, axis=0)).mean()
    assert same < 0.6 * different


def test_the_detector_finds_the_faces_whole():
    from facenet_pytorch import MTCNN

    detector, found, margin = MTCNN(select_largest=False, device="cpu"), 0, 0.3
    people = range(60)
    for identity in people:
        boxes, _ = detector.detect(render(identity, identity % 7))
        if boxes is None:
            continue
        found += 1
        left, top, right, bottom = boxes[0]
        grow_x, grow_y = margin / 2 * (right - left), margin / 2 * (bottom - top)
        assert left > grow_x and top > grow_y and right < SIDE - grow_x and bottom < SIDE - grow_y, identity
    assert found >= 0.97 * len(people)
