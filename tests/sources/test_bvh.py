"""BVH: joints by forward kinematics, by hand and beside pybvh."""

import numpy as np
import pybvh
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.bvh import read
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.recordings import READING

TEXT = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftUpLeg
  {
    OFFSET 10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftLeg
    {
      OFFSET 0 -40 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 -40 0
      }
    }
  }
  JOINT RightUpLeg
  {
    OFFSET -10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 90 2  0 0 0  0 0 0  0 0 0  0 0 0
1 90 2  0 0 90  0 90 0  7 7 7  0 0 0
"""


def written(tmp_path, text=TEXT):
    path = tmp_path / "walk.bvh"
    path.write_text(text)
    return path


def test_joints_lie_where_offsets_and_turns_put_them(tmp_path):
    (found,) = read(written(tmp_path), READING)
    assert found.joints == ("Hips", "LeftUpLeg", "LeftLeg", "RightUpLeg")
    assert found.edges == ((1, 0), (2, 1), (3, 0))
    assert found.fps == 25
    assert found.y == "up"
    # turned by 90 degrees about y, x goes to -z; the leg, turned about x by 90 first, goes from
    # -y to -z, which the hips then turn to -x
    assert found.keypoint[0].tolist() == [
        [[1, 90, 2], [11, 90, 2], [11, 50, 2], [-9, 90, 2]],
        pytest.approx(np.array([[1, 90, 2], [1, 90, -8], [-39, 90, -8], [1, 90, 12]]), abs=1e-5),
    ]


def test_against_pybvh(tmp_path):
    rng = np.random.default_rng(3)
    rows = np.round(rng.uniform(-180, 180, (5, 15)), 4)
    head = TEXT[: TEXT.index("Frames")]
    text = head + "Frames: 5\nFrame Time: 0.04\n" + "\n".join(" ".join(map(str, r)) for r in rows)
    path = written(tmp_path, text)
    (found,) = read(path, READING)
    oracle = pybvh.read_bvh_file(path)
    places = [oracle.joint_index[joint] for joint in found.joints]
    expected = oracle.joint_positions()[:, places]
    assert np.allclose(found.keypoint[0], expected, atol=1e-3)


def test_positions_that_repeat_the_offset_replace_it(tmp_path):
    text = TEXT.replace(
        "OFFSET 10 0 0\n    CHANNELS 3 Z",
        "OFFSET 10 0 0\n    CHANNELS 6 Xposition Yposition Zposition Z",
    )
    rows = "1 90 2  0 0 0  10 1 0 0 0 0  0 0 0  0 0 0\n" * 2
    text = text[: text.index("1 90 2")] + rows
    (found,) = read(written(tmp_path, text), READING)
    assert found.keypoint[0, 0, 1].tolist() == [11, 91, 2]


def test_the_file_is_recognised(tmp_path):
    assert recognised(written(tmp_path)) == ("bvh", "it begins with HIERARCHY, as BVH does")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "Frames: 2",
            "Frames: 1000000000",
            r"promises 1,000,000,000 frames of 15 channels but has 30",
        ),
        ("1 90 2  0 0 0", "1 90 x  0 0 0", "a value that is no number"),
        ("1 90 2  0 0 0", "1 90 nan  0 0 0", "not finite"),
        ("MOTION", "", "no HIERARCHY followed by MOTION"),
        ("JOINT LeftLeg\n    {", "JOINT LeftLeg", "RightUpLeg is in no joint that it can hang on"),
        ("CHANNELS 6", "CHANNELS 99999999999", "are not BVH's"),
        ("Xposition", "Xpos", "are not BVH's"),
        ("OFFSET 10 0 0", "OFFSET 10 a 0", "no number"),
        ("Frame Time", "Time", "no Frames: and Frame Time:"),
    ],
)
def test_a_file_is_refused_by_name(tmp_path, old, new, sentence):
    assert old in TEXT
    with pytest.raises(BadInput, match=rf"walk\.bvh.*({sentence})"):
        read(written(tmp_path, TEXT.replace(old, new, 1)), READING)
