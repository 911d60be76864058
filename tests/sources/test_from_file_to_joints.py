"""Files of motion capture, read, settled, linked and mapped to the joints of a shipped skeleton."""

import struct

import pytest
from helpers import skeleton

from stgcn_lightning.data.normalise import upright
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.own_skeletons import stated_skeleton
from stgcn_lightning.sources.recordings import READING, Reading

# name, parent, offset in centimetres: a person who looks along +z, left at +x
BODY = [
    ("Hips", None, (0, 95, 0)), ("Spine", "Hips", (0, 20, 0)), ("Spine1", "Spine", (0, 15, 0)),
    ("Neck", "Spine1", (0, 15, 0)), ("Head", "Neck", (0, 15, 0)),
    ("LeftShoulder", "Spine1", (5, 10, 0)), ("LeftArm", "LeftShoulder", (13, 0, 0)),
    ("LeftForeArm", "LeftArm", (0, -28, 0)), ("LeftHand", "LeftForeArm", (0, -25, 0)),
    ("RightShoulder", "Spine1", (-5, 10, 0)), ("RightArm", "RightShoulder", (-13, 0, 0)),
    ("RightForeArm", "RightArm", (0, -28, 0)), ("RightHand", "RightForeArm", (0, -25, 0)),
    ("LeftUpLeg", "Hips", (9, 0, 0)), ("LeftLeg", "LeftUpLeg", (0, -44, 0)),
    ("LeftFoot", "LeftLeg", (0, -42, 0)), ("RightUpLeg", "Hips", (-9, 0, 0)),
    ("RightLeg", "RightUpLeg", (0, -44, 0)), ("RightFoot", "RightLeg", (0, -42, 0)),
]  # fmt: skip


def bvh(frames=3):
    """The body, which stands."""

    def joint(name, parent, offset):
        children = [joint(*one) for one in BODY if one[1] == name]
        inside = children or ["End Site\n{\nOFFSET 0 0 0\n}"]
        kind = "ROOT" if parent is None else "JOINT"
        numbers = " ".join(map(str, offset))
        channels = "CHANNELS 3 Zrotation Xrotation Yrotation"
        return "\n".join([f"{kind} {name}", "{", f"OFFSET {numbers}", channels, *inside, "}"])

    rows = "\n".join(" ".join(["0"] * 3 * len(BODY)) for _ in range(frames))
    return f"HIERARCHY\n{joint(*BODY[0])}\nMOTION\nFrames: {frames}\nFrame Time: 0.04\n{rows}\n"


def test_a_bvh_file_becomes_joints_of_h36m17_in_metres(tmp_path):
    (tmp_path / "stand.bvh").write_text(bvh())
    (recording,) = read_recordings(tmp_path, READING)
    assert (recording.unit, recording.y, recording.fps) == ("metres", "up", 25)
    found = mapped(recording, skeleton("h36m17"))
    of = dict(zip(found.joints, found.keypoint[0, 0].tolist(), strict=True))
    assert of["root"] == pytest.approx([0, 0.95, 0])
    assert of["left_shoulder"] == pytest.approx([0.18, 1.4, 0])
    assert of["right_wrist"] == pytest.approx([-0.18, 0.87, 0])
    assert of["right_foot"] == pytest.approx([-0.09, 0.09, 0])
    assert of["thorax"] == pytest.approx([0, 1.4, 0])
    assert any(line.startswith("map: imputed thorax from the mean of") for line in found.remarks)


def test_a_hierarchy_becomes_a_skeleton_that_ends_upright(tmp_path):
    (tmp_path / "stand.bvh").write_text(bvh())
    (recording,) = read_recordings(tmp_path, READING)
    own = stated_skeleton(recording, "mocap19")
    assert own.num_joints == len(BODY)
    ended = upright(recording.keypoint, own.normalise)[0, 0]
    trunk = ended[own.joints.index("Neck")] - ended[own.joints.index("Hips")]
    assert trunk == pytest.approx([0, 0, 0.5], abs=1e-6)


def test_people_of_a_pose_file_of_version_0_0_whose_order_flips_are_linked(tmp_path):
    names = ("NOSE", "LEFT_SHOULDER", "RIGHT_SHOULDER")

    def text(words):
        return struct.pack("<H", len(words)) + words.encode()

    content = struct.pack("<f4H", 0.0, 640, 480, 0, 1) + text("POSE_LANDMARKS") + text("XYC")
    content += struct.pack("<3H", 3, 0, 0) + b"".join(map(text, names))
    content += struct.pack("<2H", 30, 12)
    for t in range(12):
        people = [(100 + 2 * t, 1), (400 - 2 * t, 2)]
        content += struct.pack("<H", 2)
        for x, y in people if t % 2 else people[::-1]:
            values = [x, y, 1, x + 20, y + 30, 1, x - 20, y + 30, 1]
            content += struct.pack("<h9f", 0, *values)
    (tmp_path / "two.pose").write_bytes(content)
    (recording,) = read_recordings(tmp_path / "two.pose", READING)
    assert recording.tracked
    walks = sorted(recording.keypoint[:, :, 0, 0].tolist())
    assert walks == [[100 + 2 * t for t in range(12)], [400 - 2 * t for t in range(12)]]
    (one,) = read_recordings(tmp_path / "two.pose", Reading(persons=1))
    assert len(one.keypoint) == 1


def test_markers_that_are_no_joints_are_refused_by_their_names(tmp_path):
    header = (
        "PathFileType\t4\t(X/Y/Z)\tw.trc\nDataRate\tNumFrames\tNumMarkers\tUnits\n60\t6\t2\tmm\n"
    )
    rows = "\n".join(f"{t}\t0\t{t}\t900\t1\t{t}\t1400\t{t}" for t in range(1, 7))
    (tmp_path / "w.trc").write_text(
        f"{header}Frame#\tTime\tLASI\t\t\tC7\t\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n\n{rows}\n"
    )
    (recording,) = read_recordings(tmp_path / "w.trc", READING)
    assert recording.keypoint[0, 0, 1].tolist() == pytest.approx([0.001, 1.4, 0.001])
    with pytest.raises(BadInput, match=r"0 of 17 were found by name.*it has LASI, C7"):
        mapped(recording, skeleton("coco17"))
