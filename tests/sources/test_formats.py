import contextlib
import json
import re

import numpy as np
import pytest
from helpers import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning import skeleton_named
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import FORMATS, list_recordings, read_recordings, read_text
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.json_text import parsed
from stgcn_lightning.sources.recordings import Reading, Recording

NAMES = (
    "keypoint keypoints score joints frames images annotations categories image_id id file_name "
    "people bodies pose_keypoints_2d instance_info instances frame_id keypoint_scores x y visible "
    "pose_landmarks landmarks visibility track_id idx meta_info keypoint_id2name width height"
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
KEYS = st.sampled_from(NAMES.split(" "))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
TRIPLES = st.lists(st.floats(width=16) | st.integers(0, 9), min_size=51, max_size=51)
POINTS = TRIPLES | VALUES


def table(*needed, **optional):
    """Objects with these keys: what is nearly right finds more than what is wrong at once."""
    keys = {key: POINTS if "keypoints" in key else VALUES for key in needed}
    return st.fixed_dictionaries(keys, optional=optional)


PICTURES = st.lists(table("id", "file_name"), max_size=3)
NEARLY = st.one_of(
    st.lists(table("image_id", "keypoints", idx=VALUES, track_id=VALUES), max_size=3),
    st.fixed_dictionaries({"people": st.lists(table("pose_keypoints_2d"), max_size=3)}),
    st.lists(table("frame_id", "instances"), max_size=3),
    st.lists(table("keypoints", "keypoint_scores"), max_size=3),
    st.fixed_dictionaries(
        {"images": PICTURES, "annotations": st.lists(table("keypoints", "image_id"), max_size=3)},
        optional={"categories": VALUES},
    ),
    table("keypoint", **dict.fromkeys(("score", "joints", "img_shape", "frames", "y"), VALUES)),
)


@given(VALUES | NEARLY, st.sampled_from(["auto", *(n for n, f in FORMATS.items() if f.json)]))
def test_arbitrary_json_is_a_recording_or_refused(content, format):
    found = []
    with contextlib.suppress(BadInput):
        found = read_text(json.dumps(content), Reading(format=format))
    for one in found:
        assert isinstance(one, Recording)
        assert one.settled
        assert np.isfinite(one.keypoint).all()
        assert one.score is None or ((one.score >= 0) & (one.score <= 1)).all()


@pytest.mark.parametrize("name", JOINTS)
def test_joints_are_those_of_the_skeletons_in_the_configuration(name):
    try:
        skeleton = skeleton_named(name)
    except BadInput:
        pytest.skip(f"conf/skeleton has no {name}")
    assert skeleton.joints == JOINTS[name]


def test_no_text_is_nested_too_deep_or_too_large_to_be_refused():
    with pytest.raises(BadInput, match="nests too deep"):
        parsed("[" * 100_000 + "]" * 100_000, "x")
    with pytest.raises(BadInput, match="x is no JSON"):
        parsed("[" + "9" * 5000 + "]", "x")
    with pytest.raises(BadInput, match=r"x is no JSON .* as UTF-8"):
        parsed(b'["\xff"]', "x")
    assert parsed(b"\xef\xbb\xbf[1]", "x") == [1]


def test_absurd_counts_ask_for_no_memory():
    many = [{"image_id": i, "keypoints": [1, 2, 1] * 17, "track_id": i} for i in range(6000)]
    with pytest.raises(BadInput, match="6,000 persons in 6,000 frames, which is more than fits"):
        read_text(json.dumps(many), Reading())


def test_a_format_that_does_not_exist_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(BadInput, match=r"reading\.format=openpos: did you mean openpose\?"):
        read_recordings(tmp_path, Reading(format="openpos"))


def test_recordings_are_listed_without_being_read(tmp_path):
    for name in ("b.npz", "sub/a.npz", ".hidden.npz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        np.savez(path, keypoint=np.ones((1, 2, 2)))
    (tmp_path / "notes.md").write_text("not key points")
    found = list_recordings(tmp_path, Reading())
    assert [(one.path.name, one.format) for one in found] == [("b.npz", "npz"), ("a.npz", "npz")]
    assert [one.id for one in read_recordings(tmp_path, Reading())] == ["b", "sub/a"]


def test_a_lost_file_among_many_is_named(tmp_path):
    for i in range(3):
        np.savez(tmp_path / f"{i}.npz", keypoint=np.ones((1, 2, 2)))
    (tmp_path / "lost.json").write_text('{"what": "ever"}')
    with pytest.raises(BadInput, match=r"lost\.json is in no known format .* or move the file"):
        read_recordings(tmp_path, Reading())


def test_lost_files_may_be_collected_instead(tmp_path):
    np.savez(tmp_path / "a.npz", keypoint=np.ones((1, 2, 2)))
    (tmp_path / "lost.json").write_text('{"what": "ever"}')
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "x_1.json").write_text('{"people": []}')
    (tmp_path / "mixed" / "notes.csv").write_text("a,b\n1,2\n")
    faults = []
    found = list_recordings(tmp_path, Reading(), faults)
    assert [one.path.name for one in found] == ["a.npz"]
    assert [fault.split("/")[-1].split(" ")[0] for fault in faults] == ["lost.json", "notes.csv"]


def test_links_that_lead_back_are_not_followed(tmp_path):
    np.savez(tmp_path / "a.npz", keypoint=np.ones((1, 2, 2)))
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(list_recordings(tmp_path, Reading())) == 1


def test_the_page_has_a_row_for_each_format():
    page = (CHECKOUT / "docs" / "sources.md").read_text()
    table = page.split("## Formats")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(FORMATS)


def test_the_examples_of_the_page_are_read(tmp_path):
    page = (CHECKOUT / "docs" / "sources.md").read_text()
    examples = re.findall(r"```(json|csv)\n(.*?)```", page, re.DOTALL)
    assert [kind for kind, _ in examples] == ["json", "csv", "csv"]
    for kind, text in examples:
        path = tmp_path / f"a.{kind}"
        path.write_text(text)
        (found,) = read_recordings(path, Reading())
        assert found.joints[:2] == ("nose", "left_eye")
        assert found.keypoint[0, 0, :2].tolist() == [[312, 101], [318, 95]]


def test_a_folder_without_key_points_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has no file of key points"):
        read_recordings(tmp_path, Reading())
    with pytest.raises(BadInput, match="there is no file or folder"):
        read_recordings(tmp_path / "no", Reading())


def test_two_recordings_of_one_name_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", keypoint=np.ones((1, 2, 2)))
    (tmp_path / "a.csv").write_text("hip_x,hip_y\n10,20\n")
    with pytest.raises(BadInput, match="two recordings of the name a; rename"):
        read_recordings(tmp_path, Reading())
