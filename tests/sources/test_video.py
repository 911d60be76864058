"""What stands between a video and its recording."""

import os

import numpy as np
from helpers import skeleton

from stgcn_lightning.sources import video
from stgcn_lightning.sources.video import Film, recording_of, solution_for


def film(count):
    """Pictures that hold their number."""
    pictures = (np.full((4, 6, 3), number, np.uint8) for number in range(count))
    return Film(pictures, 30.0, (4, 6))


def estimate(picture):
    """As many people as the number of the picture, up to two; joint v of person m is at (m, v)."""
    M = min(int(picture[0, 0, 0]), 2)
    joints = np.stack(np.broadcast_arrays(np.arange(M)[:, None], np.arange(17)), -1)
    return joints.astype(np.float32), np.full((M, 17), 0.5, np.float32)


def test_people_stand_in_the_frames_in_which_they_were_found():
    found = recording_of(film(4), estimate, "film", skeleton("coco17"))
    assert found is not None
    assert found.keypoint.shape == (2, 4, 17, 2)
    assert np.isnan(found.keypoint[0, 0]).all()
    assert np.isnan(found.keypoint[1, 1]).all()
    np.testing.assert_array_equal(found.keypoint[1, 2, 5], [1, 5])
    assert found.score is not None
    assert found.score[:, :, 0].tolist() == [[0, 0.5, 0.5, 0.5], [0, 0, 0.5, 0.5]]
    assert not found.tracked
    assert (found.img_shape, found.fps, found.unit) == ((4, 6), 30.0, "pixels")


def test_a_film_without_pictures_is_no_recording():
    assert recording_of(film(0), estimate, "film", skeleton("coco17")) is None


def test_joints_are_the_checkpoint_s_own_or_coco_s():
    for name, found in {"coco17": "coco17", "halpe26": "halpe26", "ntu25": "coco17"}.items():
        assert solution_for(skeleton(name), skeleton).name == found


def test_what_rtmlib_prints_is_no_answer(capfd):
    with video._nothing_on_stdout():
        print("load rtmpose.onnx with onnxruntime backend")
        os.system("echo Archive: rtmpose.zip")
    print("answer")
    out, err = capfd.readouterr()
    assert out == "answer\n"
    assert "Archive" in err
    assert "load" in err
