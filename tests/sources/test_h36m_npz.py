"""Human3.6M in VideoPose3D's archives of pickled dictionaries."""

import zipfile

import numpy as np
import pytest
from hostile import Calls

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.h36m_npz import OF_32, read
from stgcn_lightning.sources.recordings import READING


def test_subjects_and_actions_become_recordings_with_y_up(tmp_path):
    walking = np.zeros((2, 32, 3), np.float32)
    walking[..., 0] = np.arange(32)
    walking[1] += (0, 5, 7)
    path = tmp_path / "data_3d_h36m.npz"
    np.savez_compressed(
        path, positions_3d={"S1": {"Walking 1": walking}, "S5": {"Eating": walking}}
    )
    assert recognised(path) == ("h36m", "it is an .npz with positions_3d, as VideoPose3D's")
    first, second = read(path, READING)
    assert (first.id, second.id) == ("data_3d_h36m:S1.Walking 1", "data_3d_h36m:S5.Eating")
    assert first.skeleton == "h36m17"
    assert first.joints[:2] == ("root", "right_hip")
    assert first.keypoint[0, 0, :, 0].tolist() == OF_32
    assert first.keypoint[0, 1, 0].tolist() == [0, 7, -5]
    assert (first.unit, first.y, first.fps) == ("metres", "up", 50)


@pytest.mark.parametrize(("layout", "skeleton"), [("h36m", "h36m17"), ("coco", "coco17")])
def test_cameras_become_recordings_in_pixels(tmp_path, layout, skeleton):
    cameras = [np.full((3, 17, 2), camera, np.float32) for camera in range(4)]
    metadata = {"layout_name": layout, "num_joints": 17, "keypoints_symmetry": [[4, 5], [1, 2]]}
    path = tmp_path / "data_2d_h36m_gt.npz"
    np.savez(path, positions_2d={"S9": {"Posing": cameras}}, metadata=metadata)
    found = read(path, READING)
    assert [one.id for one in found] == [f"data_2d_h36m_gt:S9.Posing.{n}" for n in range(4)]
    assert found[2].keypoint.shape == (1, 3, 17, 2)
    assert (found[2].keypoint == 2).all()
    assert (found[0].unit, found[0].y, found[0].skeleton) == ("pixels", "down", skeleton)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"S1": np.zeros((2, 17, 3))}, "S1 holds no dictionary"),
        ({"S1": {"Walking": "far"}}, r"S1\.Walking is no array"),
        ({"S1": {"Walking": np.zeros((2, 17, 5))}}, "5 coordinates"),
        ({}, "no action of any subject"),
        ({"S1": {"Walking": Calls(print, "executed")}}, "asks for"),
    ],
)
def test_an_archive_is_refused_by_name_and_not_executed(tmp_path, content, sentence):
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, positions_3d=content)
    with pytest.raises(BadInput, match=rf"data_3d_h36m\.npz.*{sentence}"):
        read(path, READING)


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "data_3d_h36m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("positions_3d.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(BadInput, match=r"cannot be read as \.npz"):
        read(path, READING)
