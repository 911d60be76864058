"""The skeletons that ship, and the sentences that refuse one that contradicts itself."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from helpers import shared
from omegaconf import OmegaConf
from scipy.spatial.transform import Rotation

from stgcn_lightning.data.normalise import upright
from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Normalisation, Skeleton
from stgcn_lightning.sources.concepts import concepts
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.recordings import READING, Recording
from stgcn_lightning.sources.settling import settled
from stgcn_lightning.sources.synthetic_bodies import articulate, make_bodies

TABLES = sorted((Path(__file__).parents[1] / "conf" / "skeleton").glob("*.yaml"))

TORSO = {
    "name": "torso",
    "joints": ["hip", "neck", "left_hand", "right_hand"],
    "edges": [[0, 1], [2, 1], [3, 1]],
    "graph_centre": 1,
    "bone_parents": [0, 0, 1, 1],
    "left_right": [[2, 3]],
    "normalise": {"centre": 1, "body": [0, 1], "shoulders": [2, 3]},
}


def test_fourteen_skeletons_ship():
    assert {path.stem for path in TABLES} == {
        "coco17", "ntu25", "openpose18", "jhmdb15", "kinect20", "mediapipe33", "openpose25",
        "halpe26", "halpe136", "coco_wholebody133", "h36m17", "smpl24", "hand21", "ap10k17",
    }  # fmt: skip


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_each_shipped_skeleton_is_called_like_its_file_and_survives_a_round_trip(path):
    table = OmegaConf.to_container(OmegaConf.load(path))
    skeleton = Skeleton.from_dict(table)
    assert skeleton.name == path.stem
    assert skeleton.to_dict() == table
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


def test_k_bones_of_ntu25_start_where_protogcn_lets_them():
    """The pairs as they stand in its specification."""
    pairs = (
        "0-20 1-1 2-2 3-20 4-4 5-20 6-4 7-5 8-8 9-20 10-8 11-9 12-1 13-0 14-12 15-13 16-1 17-0"
        " 18-16 19-17 20-20 21-7 22-6 23-11 24-10"
    )
    ends = [pair.split("-") for pair in pairs.split()]
    assert [int(joint) for joint, _ in ends] == list(range(25))
    assert list(skeleton_named("ntu25").k_parents) == [int(start) for _, start in ends]


def test_k_bones_start_at_the_parent_s_parent_where_no_table_says_otherwise():
    assert Skeleton.from_dict(TORSO).k_parents == (0, 0, 0, 0)
    with_table = Skeleton.from_dict(TORSO | {"k_bone_parents": [1, 1, 1, 0]})
    assert with_table.k_parents == (1, 1, 1, 0)
    assert Skeleton.from_dict(with_table.to_dict()) == with_table
    assert "k_bone_parents" not in Skeleton.from_dict(TORSO).to_dict()


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_each_shipped_skeleton_pairs_every_left_joint_with_its_right(path):
    skeleton = Skeleton.from_dict(OmegaConf.to_container(OmegaConf.load(path)))
    pairs = {(skeleton.joints[left], skeleton.joints[right]) for left, right in skeleton.left_right}
    lefts = [name for name in skeleton.joints if "left" in name]
    # the points of a face are numbered from side to side
    assert {(left, right) for left, right in pairs if not left.startswith("face-")} == {
        (name, name.replace("left", "right")) for name in lefts
    }
    # A mirrored body has the same graph and the same bones.
    mirror = list(range(skeleton.num_joints))
    for left, right in skeleton.left_right:
        mirror[left], mirror[right] = right, left
    assert {frozenset(edge) for edge in skeleton.edges} == {
        frozenset((mirror[a], mirror[b])) for a, b in skeleton.edges
    }
    parents = skeleton.bone_parents
    assert [mirror[parents[mirror[joint]]] for joint in range(len(parents))] == list(parents)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_edges_and_bones_of_each_shipped_skeleton_are_trees(path):
    skeleton = skeleton_named(path.stem)
    # the constructor checks that all joints are reached from the centre
    assert len(skeleton.edges) == skeleton.num_joints - 1
    roots = [joint for joint, parent in enumerate(skeleton.bone_parents) if parent == joint]
    assert len(roots) == 1


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_each_shipped_skeleton_is_that_of_the_formats(path):
    known = json.loads(shared("skeletons.json").read_text())
    other = {"openpose25": "openpose_body25", "openpose18": "openpose_coco18"}
    other |= {"ap10k17": "ap10k_animal17", "ntu25": "kinect_v2_25"}
    name = other.get(path.stem, path.stem)
    if name not in known:
        pytest.skip(f"the table of the formats has no {name}")
    stated, skeleton = known[name], skeleton_named(path.stem)

    def pairs(found):
        return {frozenset(pair) for pair in found}

    assert concepts(skeleton.joints) == concepts(stated["joints"])
    assert pairs(skeleton.left_right) == pairs(stated["left_right"])
    assert skeleton.graph_centre == stated["centre"]
    assert pairs(skeleton.edges) == pairs(stated["edges"])


# how a person who faces the camera (smpl24: looks along +z) is turned against the embedded body,
# which looks along -z with its right at +x and y up; and where y points
SPACES = {
    "ntu25": ("y", 0, "up"),
    "mediapipe33": ("z", 180, "down"),
    "h36m17": ("z", 180, "down"),
    "smpl24": ("y", 180, "up"),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("yaw", [-45, 0, 45])
def test_a_body_that_stands_before_the_camera_ends_upright(name, yaw):
    skeleton = skeleton_named(name)
    body = make_bodies(seed=5, subjects=1)
    joints = articulate(np.zeros((15, 1), np.float32), body.lengths.T)  # 3, J, 1
    axis, angle, y = SPACES[name]
    turn = Rotation.from_euler(axis, angle, degrees=True)
    turn *= Rotation.from_euler("y", yaw, degrees=True) * Rotation.from_euler("x", 15, degrees=True)
    face = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    standing = Recording(
        "body",
        (joints.T[None] @ turn.as_matrix().T).astype(np.float32),
        (*skeleton_named("ntu25").joints, *face),
        unit="metres",
        y=y,
    )
    found = settled(mapped(standing, skeleton), READING)
    ended = upright(found.keypoint, skeleton.normalise)[0, 0]
    of = dict(zip(concepts(skeleton.joints, name), ended, strict=True))
    trunk = of["left_shoulder"] + of["right_shoulder"] - of["left_hip"] - of["right_hip"]
    left, right = skeleton.normalise.shoulders
    for vector, axis in ((trunk, 2), (ended[right] - ended[left], 0)):
        assert vector[axis] / np.linalg.norm(vector) > np.cos(np.radians(8))


def test_a_skeleton_is_built_from_its_table():
    skeleton = Skeleton.from_dict(TORSO)
    assert skeleton.num_joints == 4
    assert skeleton.edges == ((0, 1), (2, 1), (3, 1))
    assert skeleton.normalise == Normalisation(centre=1, body=(0, 1), shoulders=(2, 3))
    hash(skeleton)


REFUSED = {
    "a key is misspelt": ({"graph_center": 1}, "no key `graph_center`.*mean `graph_centre`"),
    "a normalise key is misspelt": (
        {"normalise": {"center": 1, "body": [0, 1], "shoulders": [2, 3]}},
        "`normalise`: there is no key `center`.*mean `centre`",
    ),
    "normalise is a number": ({"normalise": 1}, "`normalise` is 1: give centre, body, sh"),
    "there are no joints": ({"joints": []}, "`joints` is empty"),
    "joints is a word": ({"joints": "hip"}, "`joints` is 'hip', which is not a list"),
    "two joints share a name": (
        {"joints": ["hip", "neck", "hand", "hand"]},
        "`joints` names both 2 and 3 `hand`",
    ),
    "yaml makes booleans of joints": ({"joints": ["hip", True]}, "`joints` has True, which is no"),
    "an edge leaves the body": ({"edges": [[0, 1], [4, 1]]}, "`edges` has joint 4, but .* 0 to 3"),
    "a joint is negative": ({"graph_centre": -1}, "`graph_centre` has joint -1"),
    "a joint is a name": ({"graph_centre": "neck"}, "`graph_centre` has 'neck', which is not"),
    "a parent is out of range": ({"bone_parents": [0, 0, 1, 9]}, "`bone_parents` has joint 9"),
    "a mirror image is out of range": ({"left_right": [[2, 7]]}, "`left_right` has joint 7"),
    "the centre is out of range": (
        {"normalise": {"centre": 4, "body": [0, 1], "shoulders": [2, 3]}},
        "`normalise.centre` has joint 4",
    ),
    "an edge has three ends": (
        {"edges": [[0, 1, 2]]},
        r"`edges` has \[0, 1, 2\], which is not a p",
    ),
    "an edge is a loop": (
        {"edges": [[0, 1], [2, 2], [2, 1], [3, 1]]},
        r"`edges` joins joint 2 \(`left_hand`\) to itself",
    ),
    "an edge comes twice": (
        {"edges": [[0, 1], [2, 1], [3, 1], [1, 2]]},
        r"`edges` has \[1, 2\] twice",
    ),
    "a joint is unconnected": (
        {"edges": [[0, 1], [2, 1]]},
        r"no path of `edges` joins joint 3 \(`right_hand`\) to the graph centre",
    ),
    "a k-parent is out of range": (
        {"k_bone_parents": [0, 0, 1, 9]},
        "`k_bone_parents` has joint 9",
    ),
    "a k-parent is missing": (
        {"k_bone_parents": [0, 0, 1]},
        "`k_bone_parents` has 3 entries but .* 4",
    ),
    "a parent is missing": ({"bone_parents": [0, 0, 1]}, "`bone_parents` has 3 entries but .* 4"),
    "the parents run in a circle": (
        {"bone_parents": [0, 3, 1, 2]},
        r"`bone_parents` lead from joint 1 \(`neck`\) in a circle",
    ),
    "two pairs share a joint": (
        {"left_right": [[2, 3], [3, 0]]},
        r"`left_right` has joint 3 \(`right_hand`\) twice",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_skeleton_is_refused_when(change, sentence):
    with pytest.raises(BadInput, match=f"^skeleton `torso`.*{sentence}") as refusal:
        Skeleton.from_dict(deepcopy(TORSO) | change)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", TORSO)
def test_a_missing_key_is_named(key):
    table = {k: v for k, v in TORSO.items() if k != key}
    with pytest.raises(BadInput, match=f"the key `{key}` is missing"):
        Skeleton.from_dict(table)


def test_a_skeleton_with_several_roots_or_a_cyclic_graph_is_accepted():
    """Neither contradicts itself: a second root has a zero bone, a graph need not be a tree."""
    Skeleton.from_dict(TORSO | {"bone_parents": [0, 1, 1, 1]})
    Skeleton.from_dict(TORSO | {"edges": [[0, 1], [2, 1], [3, 1], [2, 3]]})
