import re

import numpy as np
import pytest
from helpers import CHECKOUT, skeleton

from stgcn_lightning.errors import BadInput
from stgcn_lightning.report.colours import THEMES, mixed, theme_named
from stgcn_lightning.report.limbs import flat, placed, sides


def test_pictures_have_the_colours_of_the_pages():
    css = (CHECKOUT / "src/stgcn_lightning/report/templates/report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    for theme, block in zip(THEMES.values(), blocks[:2], strict=True):
        variables = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for name, value in theme._asdict().items():
            assert variables[name] == value


def test_a_theme_that_there_is_not_is_refused():
    with pytest.raises(BadInput, match=r"theme=drak: did you mean dark\?"):
        theme_named("drak")
    assert mixed("#102030", "#102030", 0.7) == "#102030"


def test_two_dimensions_are_drawn_as_they_are_and_what_was_not_found_is_left_out():
    joints = np.array([[[[1.0, 2.0], [0, 0], [np.nan, 3]]]])
    drawn = flat(joints)
    np.testing.assert_array_equal(drawn[0, 0, 0], [1, 2])
    assert np.isnan(drawn[0, 0, 1:]).all()


def test_three_dimensions_are_seen_upright_from_the_camera():
    head, foot, left = [0.0, 1.7, 3.0], [0.0, 0.1, 3.0], [0.4, 1.0, 3.0]
    drawn = flat(np.array([[[head, foot, left]]]), up=True)[0, 0]
    assert drawn[0, 1] < drawn[1, 1]  # down is positive
    assert drawn[2, 0] < drawn[0, 0]  # x grows to the camera's left
    near, far = flat(np.array([[[[0.0, 1, 2], [0, 1, 3]]]]), up=True)[0, 0]
    assert near[0] != far[0]


def test_persons_and_frames_fit_at_one_scale():
    joints = np.random.default_rng(0).uniform(-50, 900, (2, 30, 17, 2))
    inside = placed(joints, 400, 200, 10)
    low, high = np.quantile(inside.reshape(-1, 2), [0.01, 0.99], axis=0)
    assert (low >= 0).all()
    assert (high <= (400, 200)).all()
    lengths, others = (np.linalg.norm(np.diff(of, axis=1), axis=-1) for of in (joints, inside))
    np.testing.assert_allclose(others / lengths, (others / lengths)[0, 0, 0])
    nothing = np.full((1, 2, 17, 2), np.nan)
    assert np.isnan(placed(nothing, 400, 200, 10)).all()


def test_a_raised_arm_is_inside_and_a_joint_far_away_makes_nobody_small():
    joints = np.zeros((1, 300, 4, 2))
    joints[..., 1] = [0, 50, 100, 200]
    joints[0, 7, 0, 1] = -60  # once in 1,200 joints
    assert placed(joints, 400, 200, 10)[0, 7, 0, 1] == pytest.approx(10)
    joints[0, 7, 0, 1] = -90_000
    drawn = placed(joints, 400, 200, 10)[0, 0, :, 1]
    assert drawn.max() - drawn.min() > 100


def test_edges_lie_on_the_side_of_their_joints():
    coco, ntu = skeleton("coco17"), skeleton("ntu25")
    for body in (coco, ntu):
        for (child, parent), side in zip(body.edges, sides(body), strict=True):
            names = {body.joints[i].split("_")[0] for i in (child, parent)} & {"left", "right"}
            assert side == (names.pop() if len(names) == 1 else "middle")
