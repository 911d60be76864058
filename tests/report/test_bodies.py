"""Drawings of skeletons: they stand, left and right are where they belong, trees are whole."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import skeleton

from stgcn_lightning.report.bodies import branches, drawn, sides_of
from stgcn_lightning.report.standing import as_tree, on_face, standing
from stgcn_lightning.shipped import skeletons
from stgcn_lightning.sources.concepts import concepts

ALL = {one.name: one for one in skeletons()}
HUMAN = sorted(ALL.keys() - {"hand21", "ap10k17"})


def placed(body):
    names = concepts(body.joints, body.name)
    return dict(zip(names, standing(body, names), strict=True))


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_two_joints_of_a_shipped_skeleton_are_drawn_in_one_place(name):
    body = ALL[name]
    points = standing(body, concepts(body.joints, body.name))
    assert points.shape == (body.num_joints, 2)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert apart[~np.eye(len(points), dtype=bool)].min() > 0.3  # of about 180


@pytest.mark.parametrize("name", HUMAN)
def test_a_human_stands_upright_and_faces_the_reader(name):
    places = placed(ALL[name])
    for side, sign in (("left", 1), ("right", -1)):
        chain = [f"{side}_{part}" for part in ("shoulder", "hip", "knee", "ankle")]
        heights = [places[joint][1] for joint in chain if joint in places]
        assert heights == sorted(heights)
        assert all(sign * places[joint][0] > 0 for joint in chain if joint in places)


@pytest.mark.parametrize("name", HUMAN)
def test_mirrored_joints_are_drawn_mirrored(name):
    body = ALL[name]
    points = standing(body, concepts(body.joints, body.name))
    for one, other in body.left_right:
        np.testing.assert_allclose(points[one], points[other] * (-1, 1), atol=1e-9)


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_tree_in_text_has_every_joint_once(name):
    body = ALL[name]
    lines = branches(body)
    assert sorted(line.joint for line in lines) == list(range(body.num_joints))
    assert (lines[0].guide, lines[0].joint) == ("", body.graph_centre)
    assert all(line.guide.endswith(("├─ ", "└─ ")) for line in lines[1:])


def test_sides_are_those_of_names_and_else_those_of_pairs():
    body = skeleton("coco17")
    sides = sides_of(body, concepts(body.joints, body.name))
    assert sides[:3] == ["middle", "left", "right"]
    whole = ALL["coco_wholebody133"]
    sides = sides_of(whole, concepts(whole.joints, whole.name))
    # the jaw of iBUG's 68 points begins at the right ear, seen by the person
    assert (sides[whole.joints.index("face-0")], sides[whole.joints.index("face-16")]) == (
        "right",
        "left",
    )


def test_the_chin_is_the_lowest_point_of_a_face_and_the_brows_the_highest():
    heights = [on_face(i)[1] for i in range(68)]
    assert heights.index(max(heights)) == 8
    assert heights.index(min(heights)) in range(17, 27)


def test_joints_of_no_body_are_drawn_as_a_tree_below_their_centre():
    body = replace(skeleton("coco17"), joints=tuple(f"p{i}" for i in range(17)))
    points = standing(body, body.joints)
    np.testing.assert_array_equal(points, as_tree(body))
    assert points[body.graph_centre, 1] == 0
    assert all(points[one, 1] > points[other, 1] for one, other in body.edges)
    assert len(np.unique(points, axis=0)) == 17


def test_an_unknown_joint_among_known_ones_is_drawn_below_its_parent():
    body = skeleton("coco17")
    names = list(concepts(body.joints, body.name))
    names[9] = "gadget"  # in place of the left wrist
    points = standing(body, names)
    parent = points[body.bone_parents[9]]
    assert np.abs(points[9] - parent).max() <= 12
    assert points[9][1] > parent[1]


def test_a_drawing_fits_its_frame_and_numbers_few_joints_alone():
    for name in ("coco17", "coco_wholebody133", "ap10k17"):
        body = ALL[name]
        chart = drawn(body, concepts(body.joints, body.name))
        assert all(
            0 < joint.x < chart.width and 0 < joint.y < chart.height for joint in chart.joints
        )
        assert bool(chart.joints[0].number) == (body.num_joints < 50)
        assert len(chart.bones) == len(body.edges)
