"""TRC: tables of markers in space."""

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.recordings import READING
from stgcn_lightning.sources.trc import read

TEXT = (
    "PathFileType\t4\t(X/Y/Z)\twalk.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
    "60.00\t60.00\t3\t2\tmm\t60.00\t1\t3\n"
    "Frame#\tTime\tRHip\t\t\tNeck\t\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    "\n"
    "5\t0.000\t100.5\t900\t-7\t1\t1400\t2\n"
    "6\t0.017\t\t\t\t2\t1401\t3\n"
    "8\t0.050\t103\t903\t-4\t3\t1402\t4\n"
)


def written(tmp_path, text=TEXT):
    path = tmp_path / "walk.trc"
    path.write_text(text)
    return path


def test_markers_are_read_with_rate_unit_and_numbers_of_frames(tmp_path):
    path = written(tmp_path)
    assert recognised(path) == ("trc", "it begins with PathFileType, as TRC does")
    (found,) = read(path, READING)
    assert found.joints == ("RHip", "Neck")
    assert (found.unit, found.y, found.fps) == ("millimetres", "up", 60)
    assert found.frames.tolist() == [5, 6, 8]
    assert found.keypoint[0, 0].tolist() == [[100.5, 900, -7], [1, 1400, 2]]
    assert np.isnan(found.keypoint[0, 1, 0]).all()
    assert found.keypoint[0, 2, 1].tolist() == [3, 1402, 4]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "\t3\t2\tmm",
            "\t1000000000\t2\tmm",
            "promises 1000000000 frames of 2",
        ),
        ("\t3\t2\tmm", "\t3\t9\tmm", "promises 3 frames of 9 markers"),
        ("100.5", "far", "a cell that is no number"),
        ("RHip", "Neck", "two markers alike"),
        ("PathFileType", "Path", "not the five lines"),
    ],
)
def test_a_file_is_refused_by_name(tmp_path, old, new, sentence):
    with pytest.raises(BadInput, match=rf"walk\.trc.*{sentence}"):
        read(written(tmp_path, TEXT.replace(old, new, 1)), READING)
