"""SLEAP's analysis files and tables."""

import h5py
import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.recordings import READING
from stgcn_lightning.sources.sleap import read

NODES = ("nose", "neck", "tail")
POINTS = np.arange(2 * 4 * 3 * 2, dtype=np.float64).reshape(2, 4, 3, 2)  # track, frame, node, xy
POINTS[1, 2] = np.nan  # away
SCORES = np.where(np.isnan(POINTS[..., 0]), np.nan, 0.75)  # track, frame, node


def written(tmp_path, order="matlab", dims=None, **changes):
    path = tmp_path / "flies.analysis.h5"
    axes, rest = ((0, 3, 2, 1), (0, 2, 1)) if order == "matlab" else ((1, 0, 2, 3), (1, 0, 2))
    content = {
        "tracks": POINTS.transpose(axes),
        "point_scores": SCORES.transpose(rest),
        "node_names": np.array(NODES, "S"),
        "track_names": np.array(["female", "male"], "S"),
        "edge_inds": np.array([[1, 0], [1, 2]]),  # from the neck
        "edge_names": np.array([["neck", "nose"], ["neck", "tail"]], "S"),
    } | changes
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            if value is not None:
                file[key] = value
        if dims:
            file["tracks"].attrs["dims"] = dims
    return path


@pytest.mark.parametrize(
    ("order", "dims"),
    [
        ("matlab", None),
        ("standard", None),
        ("matlab", '["track", "xy", "node", "frame"]'),
        ("standard", '["frame", "track", "node", "xy"]'),
    ],
)
def test_tracks_nodes_and_edges_are_read_in_either_order(tmp_path, order, dims):
    path = written(tmp_path, order, dims)
    assert recognised(path)[0] == "sleap"
    (found,) = read(path, READING)
    assert found.id == "flies"
    assert np.array_equal(found.keypoint, POINTS.astype(np.float32), equal_nan=True)
    assert found.score[0].tolist() == [[0.75] * 3] * 4
    assert found.score[1, 2].tolist() == [0, 0, 0]
    assert found.joints == NODES
    assert found.persons == ("female", "male")
    assert found.edges == ((0, 1), (2, 1))
    assert (found.unit, found.y, found.tracked) == ("pixels", "down", True)


def test_what_may_be_missing_may_be_missing(tmp_path):
    (found,) = read(written(tmp_path, point_scores=None, edge_inds=None, track_names=None), READING)
    assert found.score is None
    assert found.edges == ()
    assert found.persons == ()


def test_a_table_has_three_columns_for_each_node(tmp_path):
    path = tmp_path / "flies.csv"
    path.write_text(
        "track,frame_idx,instance.score,nose.x,nose.y,nose.score,tail.x,tail.y,tail.score\n"
        "female,0,0.9,1,2,0.5,3,4,0.25\n"
        "male,0,0.8,5,6,0.5,,,\n"
        "female,2,0.9,7,8,1,9,10,1\n"
    )
    assert recognised(path)[0] == "sleap"
    (found,) = read(path, READING)
    assert found.joints == ("nose", "tail")
    assert found.persons == ("female", "male")
    assert found.frames.tolist() == [0, 2]
    assert found.keypoint[0].tolist() == [[[1, 2], [3, 4]], [[7, 8], [9, 10]]]
    assert found.keypoint[1, 0, 0].tolist() == [5, 6]
    assert np.isnan(found.keypoint[1, 0, 1]).all()
    assert found.score[0].tolist() == [[0.5, 0.25], [1, 1]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tracks": np.zeros((2, 3, 7, 4))}, r"tracks of shape \(2, 3, 7, 4\) for 3 nodes"),
        ({"tracks": np.zeros((2, 4))}, "not an array of numbers with 4 axes"),
        ({"point_scores": np.zeros((1, 1, 1))}, "point_scores of shape"),
        ({"node_names": None}, "has no node_names"),
    ],
)
def test_a_file_is_refused_by_name(tmp_path, changes, sentence):
    with pytest.raises(BadInput, match=rf"flies\.analysis\.h5.*{sentence}"):
        read(written(tmp_path, **changes), READING)


def test_a_size_that_only_the_header_promises_is_refused(tmp_path):
    path = written(tmp_path, tracks=None)
    with h5py.File(path, "a") as file:  # takes no room in the file
        file.create_dataset("tracks", (1000, 2, 3, 10**9), "f8", chunks=(1, 2, 3, 1000))
    with pytest.raises(BadInput, match="1000 x 2 x 3 x 1000000000 numbers"):
        read(path, READING)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "flies.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(BadInput, match=r"flies\.h5 cannot be read as HDF5"):
        read(path, READING)


def test_without_h5py_a_sentence_names_what_to_install(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(BadInput, match=r'needs h5py: pip install "stgcn_lightning\[formats\]"'):
        read(path, READING)
