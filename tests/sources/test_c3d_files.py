"""C3D: markers, by hand, and beside the libraries ezc3d, which writes the files, and c3d."""

import struct
import warnings

import c3d
import ezc3d
import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.c3d_files import read
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.recordings import READING


def written(tmp_path, *, up=None, unit="mm", labels=("RHIP", "LHIP", "NECK"), frames=4):
    """Marker n in frame t at (100 n, 10 t, 1000 + n); the second is occluded in frame 2."""
    N = len(labels)
    points = np.ones((4, N, frames))
    points[0] = 100 * np.arange(N)[:, None]
    points[1] = 10 * np.arange(frames)
    points[2] = 1000 + np.arange(N)[:, None]
    points[:3, 1, 2] = np.nan
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["LABELS"]["value"] = list(labels)
    file["parameters"]["POINT"]["RATE"]["value"] = [120.0]
    file["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    if up:
        file.add_parameter("POINT", "Y_SCREEN", [up])
    file["data"]["points"] = points
    path = tmp_path / "walk.c3d"
    file.write(str(path))
    return path


def test_markers_are_read_with_rate_and_unit_and_occluded_ones_are_not_found(tmp_path):
    path = written(tmp_path)
    assert recognised(path) == ("c3d", "its name ends in .c3d and its second byte is 0x50")
    (found,) = read(path, READING)
    assert found.joints == ("RHIP", "LHIP", "NECK")
    assert (found.fps, found.unit, found.y) == (120, "millimetres", "up")
    # z is up: (x, y, z) becomes (x, z, -y)
    assert found.keypoint[0, 3].tolist() == [[0, 1000, -30], [100, 1001, -30], [200, 1002, -30]]
    assert np.isnan(found.keypoint[0, 2, 1]).all()
    assert found.remarks == ("z is taken to be up: the file has no POINT:Y_SCREEN",)


@pytest.mark.parametrize(
    ("up", "place"),
    [("+Y", [200, 30, 1002]), ("+Z", [200, 1002, -30]), ("-Y", [200, -30, -1002]),
     ("+X", [-30, 200, 1002])],
)  # fmt: skip
def test_the_axis_that_the_file_says_is_up_becomes_y(tmp_path, up, place):
    (found,) = read(written(tmp_path, up=up), READING)
    assert found.keypoint[0, 3, 2].tolist() == place
    assert found.remarks == (f"{up[1].lower()} is up (POINT:Y_SCREEN)",)


def test_against_the_library_c3d(tmp_path):
    path = written(tmp_path, up="+Y")
    (found,) = read(path, READING)
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file has no analog data
        frames = [points for _, points, _ in c3d.Reader(file).read_frames()]
    for t, points in enumerate(frames):
        seen = points[:, 3] >= 0
        assert np.allclose(found.keypoint[0, t, seen], points[seen, :3])
        assert np.isnan(found.keypoint[0, t, ~seen]).all()


def test_more_than_255_markers_keep_their_names(tmp_path):
    labels = [f"m{n}" for n in range(300)]
    (found,) = read(written(tmp_path, labels=labels), READING)
    assert found.joints == tuple(labels)


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[8:10] = struct.pack("<H", 60_000)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"walk\.c3d promises 3 markers in 60,000 frames"):
        read(path, READING)
    path.write_bytes(content[:700])
    with pytest.raises(BadInput, match=r"walk\.c3d (ends within its|has no) parameters"):
        read(path, READING)
    path.write_bytes(content[:100])
    with pytest.raises(BadInput, match=r"walk\.c3d has no header"):
        read(path, READING)


def of_int16(order, up="+Y"):
    """A file of int16 with two markers in two frames, of one of three processors, by hand."""

    def real(value):
        if order != "DEC":
            return struct.pack(f"{order}f", value)
        low, high = struct.unpack("<2H", struct.pack("<f", 4 * value))
        return struct.pack("<2H", high, low)

    mark = "<" if order == "DEC" else order

    def word(*values):
        return struct.pack(f"{mark}{len(values)}H", *values)

    header = bytes([2, 0x50]) + word(2, 1, 1, 2, 0) + real(0.5) + word(3, 1) + real(50)
    processor = {"<": 84, "DEC": 85, ">": 86}[order]
    point = b"\x05\xffPOINT" + word(3) + b"\0"
    labels = b"\x06\x01LABELS" + word(2 + 4 + 4 + 1) + bytes([255, 2, 2, 2]) + b"AABB" + b"\0"
    screen = b"\x08\x01Y_SCREEN" + word(0) + bytes([255, 1, 2]) + up.encode() + b"\0"
    parameters = bytes([1, 0x50, 1, processor]) + point + labels + screen
    data = b"".join(
        struct.pack(f"{mark}9h", 2, 4, -6, 0, 20, 40, 60, fourth, 99) for fourth in (0, -1)
    )
    return header.ljust(512, b"\0") + parameters.ljust(512, b"\0") + data


@pytest.mark.parametrize("order", ["<", ">", "DEC"])
def test_whole_numbers_are_scaled_in_the_order_of_each_processor(tmp_path, order):
    path = tmp_path / "old.c3d"
    path.write_bytes(of_int16(order))
    (found,) = read(path, READING)
    assert found.joints == ("AA", "BB")
    assert found.fps == 50
    assert found.keypoint[0, :, 0].tolist() == [[1, 2, -3]] * 2
    assert found.keypoint[0, 0, 1].tolist() == [10, 20, 30]
    assert np.isnan(found.keypoint[0, 1, 1]).all()
