"""DeepLabCut's tables, as pandas writes them."""

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from hostile import Calls

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.deeplabcut import read
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.recordings import READING, Reading

LEVELS = ("scorer", "individuals", "bodyparts", "coords")


def table(individuals=("",), parts=("snout", "tail"), coords=("x", "y", "likelihood"), frames=3):
    """Coordinates 0, 1, 2, ...; likelihoods 0.9, but 0.5 of the first part in the last frame."""
    columns = [
        ("DLC_resnet50", who, part, coord)
        for who in individuals
        for part in parts
        for coord in coords
    ]
    levels = LEVELS if individuals != ("",) else LEVELS[:1] + LEVELS[2:]
    named = columns if individuals != ("",) else [c[:1] + c[2:] for c in columns]
    index = pd.MultiIndex.from_tuples(named, names=levels)
    values = np.arange(frames * len(columns), dtype=float).reshape(frames, -1)
    values[:, [at for at, column in enumerate(columns) if column[3] == "likelihood"]] = 0.9
    if "likelihood" in coords:
        values[-1, 2] = 0.5
    return pd.DataFrame(values, columns=index)


def written(tmp_path, frame, kind):
    path = tmp_path / f"videoDLC_resnet50.{kind.partition('-')[0]}"
    if kind == "csv":
        frame.to_csv(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTables about names
            frame.to_hdf(path, key="df_with_missing", format=kind.partition("-")[2], mode="w")
    return path


KINDS = ["csv", "h5-table", "h5-fixed"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_animal_is_read_and_unlikely_joints_are_not_found(tmp_path, kind):
    path = written(tmp_path, table(), kind)
    assert recognised(path)[0] == "deeplabcut"
    (found,) = read(path, READING)
    assert found.joints == ("snout", "tail")
    assert found.persons == ()
    assert found.frames.tolist() == [0, 1, 2]
    assert found.keypoint[0, 1].tolist() == [[6, 7], [9, 10]]
    assert np.isnan(found.keypoint[0, 2, 0]).all()
    assert found.keypoint[0, 2, 1].tolist() == [15, 16]
    assert found.score[0, 2].tolist() == pytest.approx([0.5, 0.9])
    assert "16.7% of the joints have a likelihood below 0.6" in found.remarks[0]
    (all_found,) = read(path, Reading(least_score=0.1))
    assert all_found.keypoint[0, 2, 0].tolist() == [12, 13]


@pytest.mark.parametrize("kind", KINDS)
def test_several_individuals_are_persons_and_nan_is_who_is_away(tmp_path, kind):
    frame = table(("mus1", "mus2"))
    frame.iloc[1, 6:] = np.nan
    (found,) = read(written(tmp_path, frame, kind), READING)
    assert found.persons == ("mus1", "mus2")
    assert found.keypoint[1, 0].tolist() == [[6, 7], [9, 10]]
    assert np.isnan(found.keypoint[1, 1]).all()
    assert (found.score[1, 1] == 0).all()
    assert found.tracked


def test_frames_keep_their_numbers(tmp_path):
    frame = table()
    frame.index = [3, 5, 9]
    for kind in KINDS:
        (found,) = read(written(tmp_path, frame, kind), READING)
        assert found.frames.tolist() == [3, 5, 9]


def test_parts_of_nobody_are_left_out_and_said(tmp_path):
    frame = pd.concat([table(("mus1",)), table(("single",), ("corner",))], axis=1)
    (found,) = read(written(tmp_path, frame, "csv"), READING)
    assert found.joints == ("snout", "tail")
    assert "corner, which belong to no individual, are left out" in found.remarks


def test_triangulated_joints_have_three_coordinates(tmp_path):
    (found,) = read(written(tmp_path, table(coords=("x", "y", "z")), "h5-table"), READING)
    assert found.keypoint[0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.score is None
    assert found.unit == "unknown"


def test_labels_by_picture_have_no_numbers_of_frames(tmp_path):
    frame = table(coords=("x", "y"))
    frame.index = [f"labeled-data/v/img{n}.png" for n in range(3)]
    (found,) = read(written(tmp_path, frame, "csv"), READING)
    assert found.frames is None


def test_names_of_columns_are_not_executed(tmp_path):
    import pickle

    path = written(tmp_path, table(), "h5-table")
    with h5py.File(path, "a") as file:
        group = file["df_with_missing"]
        group.attrs["non_index_axes"] = np.void(pickle.dumps(Calls(print, "executed")))
    with pytest.raises(BadInput, match=r"asks for builtins\.print.*nothing in it was executed"):
        read(path, READING)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scorer,a,a\nbodyparts,s,s\ncoords,x,y\n0,1\n", "2 cells in row 4 below 3"),
        ("scorer,a,a\nbodyparts,s,s\ncoords,x,y\n0,1,far\n", "a cell that is no number"),
        ("scorer,a,a\nbodyparts,s,s\ncoords,x,y\n", "for 2 columns; copy it again"),
        ("scorer,a\nbodyparts,s\ncoords,x\n0,1\n", "no column"),
        ("frame,x\n0,1\n", "no rows scorer, bodyparts, coords"),
    ],
)
def test_a_table_is_refused_by_name(tmp_path, text, sentence):
    path = tmp_path / "video.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=rf"video\.csv.*({sentence})"):
        read(path, READING)


def test_an_hdf5_file_of_somebody_else_is_refused_by_name(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(BadInput, match=r"other\.h5 has no df_with_missing"):
        read(path, READING)
    with pytest.raises(BadInput, match=r"other\.h5.* is in no known format"):
        recognised(path)
