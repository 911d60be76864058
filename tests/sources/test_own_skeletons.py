"""Skeletons that files state themselves."""

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.own_skeletons import stated_skeleton
from stgcn_lightning.sources.recordings import Recording

BODY = ("Hips", "Spine", "Neck", "LeftArm", "RightArm", "LeftUpLeg", "RightUpLeg")
EDGES = ((1, 0), (2, 1), (3, 2), (4, 2), (5, 0), (6, 0))


def recording(joints=BODY, edges=EDGES, C=3):
    return Recording("walk", np.zeros((1, 1, len(joints), C), np.float32), joints, edges=edges)


def test_a_body_hangs_from_its_middle_with_its_pairs_and_its_upright_axes():
    skeleton = stated_skeleton(recording(), "mocap")
    assert skeleton.graph_centre == 1
    assert skeleton.bone_parents == (1, 1, 1, 2, 2, 0, 0)
    assert skeleton.left_right == ((3, 4), (5, 6))
    assert (skeleton.normalise.centre, skeleton.normalise.body) == (1, (0, 2))
    assert skeleton.normalise.shoulders == (4, 3)
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


def test_what_has_no_shoulders_or_two_coordinates_is_not_normalised():
    fly = recording(("nose", "neck", "tail"), ((0, 1), (2, 1)))
    skeleton = stated_skeleton(fly, "fly")
    assert skeleton.normalise is None
    assert skeleton.graph_centre == 1
    assert stated_skeleton(recording(C=2), "mocap").normalise is None


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ((), "does not state how its 7 joints hang together; give map=coco17"),
        (EDGES[:-1], "has 5 edges between 7 joints, which are not one tree"),
        ((*EDGES[:-1], (5, 1)), "not one tree"),
    ],
)
def test_a_recording_without_a_tree_is_refused(edges, sentence):
    with pytest.raises(BadInput, match=f"walk {sentence}|walk has 6 edges.*{sentence}"):
        stated_skeleton(recording(edges=edges), "mocap")
