"""Files that campaigns of scripts/fuzz found to end otherwise than in a sentence, one a kind."""

import json
import pickle
import struct
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from hostile import Calls, message

from stgcn_lightning import shipped
from stgcn_lightning.checkpoints.safetensors import read_safetensors
from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.errors import FIRST, LAST, BadInput, brief
from stgcn_lightning.evaluation.scores import holds_scores, read_scores
from stgcn_lightning.files.dumps import read_test_dump
from stgcn_lightning.files.numpy_files import MOST_FREE
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.shipped import MOST_LETTERS, benchmark_tables
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.labels import entries_of_table
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.own_skeletons import stated_skeleton
from stgcn_lightning.sources.recordings import Reading, Recording

MANY = "9" * 5000  # digits, more than Python makes a number of


def as_format(name):
    return lambda path: read_recordings(path, Reading(format=name))


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_sentence_is_one_line_of_a_bounded_length_with_its_remedy():
    said = str(BadInput(f"class a\nb\u2028{'x' * 9999} is there twice: rename one"))
    assert len(said.splitlines()) == 1
    assert len(said) <= FIRST + LAST + 10
    assert said.startswith(r"class a\nb\u2028x")
    assert said.endswith("x is there twice: rename one")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({MANY: np.ones(2), "a": np.ones(2)}, "a name of"),  # the number of a sample
        (np.array(3.0), "holds one ndarray"),
        ([{"gt_label": 1, "pred_scores": [1]}], "rows are no numbers"),
        ([{"gt_labels": 3, "pred_score": np.ones(2)}], "scores without names and labels"),
    ],
)
def test_scores(tmp_path, content, said):
    assert said in message(read_scores, written(tmp_path, "x.pkl", pickle.dumps(content)))


def test_a_split_that_is_an_array_of_one_name(tmp_path):
    table = {"split": {"train": np.array("s0")}, "annotations": []}
    path = written(tmp_path, "x.pkl", pickle.dumps(table))
    assert "split 'train' of" in message(read_annotations, path)


def test_names_that_are_numbers_of_thousands_of_digits(tmp_path):
    text = "".join(f"{MANY}: {name}\n" for name in "abc")
    assert len(class_names(str(written(tmp_path, "x.txt", text)))) == 3


def test_a_table_that_names_a_file_that_no_disk_can_have(tmp_path):
    path = written(tmp_path, "x.csv", f"file,label\n{'é' * 300},hop\n")
    assert "which is not there" in message(entries_of_table, path)


@pytest.mark.parametrize(
    ("name", "content", "format", "said"),
    [
        ("x.json", '{"images": []}', "coco", "None is no list"),
        ("x.json", '{"fps": 3}', "json", "has no keypoint"),
        ("x.json", '{"keypoint": [[[1, 2]]], "unit": [[1, 2], 3]}', "json", "give a text"),
        ("x.csv", '""\n1\n', "auto", "in no known format"),
        ("x.csv", "\0\n", "sleap", "no row below"),
        ("x.csv", "track,frame_idx,instance.score,a.x,a.y\nb,0,1,,\n", "sleap", "no person"),
        ("x.parquet", b"PAR1\x0e\n\xff\x09\0\0\0PAR1", "mediapipe_parquet", "cannot be read"),
    ],
)  # fmt: skip
def test_key_points(tmp_path, name, content, format, said):
    assert said in message(as_format(format), written(tmp_path, name, content))


def test_an_array_of_no_frames(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((0, 132)))
    assert "no person in any frame" in message(as_format("mediapipe_numpy"), tmp_path / "x.npy")


def test_a_whole_body_without_a_body(tmp_path):
    someone = {"image_id": 0, "category_id": 1, "keypoints": 5, "face_kpts": []}
    truth = {
        "images": [{"id": 0, "file_name": "0.jpg"}],
        "categories": [],
        "annotations": [someone],
    }
    assert "are not x, y, score" in message(
        as_format("coco"), written(tmp_path, "x.json", json.dumps(truth))
    )


def test_channels_of_a_joint_twice(tmp_path):
    text = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n" + "CHANNELS 3 Xposition Yposition Zposition\n" * 2
    text += "}\nMOTION\nFrames: 1\nFrame Time: 1\n1 2 3\n"
    assert "CHANNELS is out of place" in message(as_format("bvh"), written(tmp_path, "x.bvh", text))


def test_text_of_characters_that_do_not_exist(tmp_path):
    name = np.frombuffer(b"\xff\xff\xff\x7f", "<U1")
    np.savez(tmp_path / "x.npz", keypoint=np.ones((1, 2, 1, 2)), joints=name)
    assert "characters that do not exist" in message(as_format("npz"), tmp_path / "x.npz")
    path = written(tmp_path, "x.pkl", pickle.dumps(name, 2))
    assert "characters that do not exist" in message(
        lambda path: read_pickle(path, "annotations"), path
    )


@pytest.mark.parametrize("end", ["]", "x", ",,", "("])
def test_a_shape_of_many_digits_takes_no_time(tmp_path, end):
    """They could be divided in 2 ** 60 ways."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1' * 60}{end}), }}\n".encode()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        content = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head
        archive.writestr("keypoint.npy", content)
    assert "none of plain numbers or text" in message(as_format("npz"), tmp_path / "x.npz")


def test_no_entries_of_a_shape_that_overflows(tmp_path):
    array = np.empty((0, 1 << 16, 1 << 16))
    content = pickle.dumps(array, 2).replace(pickle.dumps(1 << 16, 2)[2:-1], b"J\xff\xff\xff\x7f")
    path = written(tmp_path, "a.pkl", content)
    assert "an array whose shape is no shape" in message(
        lambda it: read_pickle(it, "numbers"), path
    )


def test_long_names(tmp_path):
    record = {"frame_dir": "s" * 5000, "label": 0, "keypoint": np.ones((1, 2, 17, 2), np.float32)}
    path = written(tmp_path, "a.pkl", pickle.dumps([record]))
    assert "has a frame_dir of 5000 letters" in message(read_annotations, path)
    torch.save({"module." * 1000 + "x": torch.ones(1)}, tmp_path / "x.pth")
    assert "a name of 7001 letters" in message(read_weights, tmp_path / "x.pth")


def test_text_that_is_named_by_arrays_again_and_again(tmp_path):
    """All letters are looked at each time."""
    make, (_, *form) = np.array(["a" * 50_000]).__reduce_ex__(5)
    shared = bytearray(b"a\0\0\0" * 50_000)
    arrays = [Calls(make, shared, *form) for _ in range(50)]
    path = written(tmp_path, "a.pkl", pickle.dumps(arrays, 5))
    assert "it would grow beyond its own size" in message(read_test_dump, path)


def test_an_archive_of_a_version_that_does_not_exist(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, scores=np.ones((1, 2)))
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")
    path.write_bytes(content[: entry + 6] + b"\xff" + content[entry + 7 :])
    assert not holds_scores(path)


def test_an_archive_that_unpacks_to_thousands_of_times_its_size(tmp_path):
    np.savez_compressed(
        tmp_path / "x.npz", keypoint=np.zeros((1, MOST_FREE // 4, 1, 2), np.float32)
    )
    assert (tmp_path / "x.npz").stat().st_size < 1 << 18
    assert "more than it can need" in message(as_format("npz"), tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "y.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        head = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
        array = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode()
        archive.writestr("positions_3d.npy", array + bytes(2 * MOST_FREE))
    assert "unpacks to more than" in message(as_format("h36m"), tmp_path / "y.npz")


def tracks(tmp_path, change):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["node_names"] = np.array(["a", "b"], "S")
        change(file)
    return path


def beside(tmp_path):
    """A file with tracks, to which another could lead."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["tracks"] = np.ones((1, 2, 2, 3))
    (tmp_path / "secret").write_bytes(bytes(99))


@pytest.mark.parametrize("way", ["link", "link below", "numbers", "virtual"])
def test_hdf5_that_leads_to_another_file(tmp_path, way):
    beside(tmp_path)
    shape = (1, 2, 2, 3)

    def change(file):
        if way.startswith("link"):
            link = h5py.ExternalLink(tmp_path / "secret.h5", "/tracks")
            file["group/tracks" if "below" in way else "tracks"] = link
        elif way == "numbers":
            file.create_dataset("tracks", shape, "i1", external=[(tmp_path / "secret", 0, 99)])
        else:
            layout = h5py.VirtualLayout(shape, "f8")
            layout[...] = h5py.VirtualSource(tmp_path / "secret.h5", "tracks", shape)
            file.create_virtual_dataset("tracks", layout)

    assert "is in another file" in message(as_format("sleap"), tracks(tmp_path, change))


def test_hdf5_of_numbers_that_are_not_in_it(tmp_path):
    def change(file):
        file.create_dataset("tracks", (1, 2, 2, 10**7), "f8", chunks=True, fillvalue=1.0)

    path = tracks(tmp_path, change)
    assert "divide the recording" in message(as_format("sleap"), path)

    def table(file):
        row = [("index", "i8"), ("values_block_0", "f8", (6,))]
        file.create_dataset("df_with_missing/table", (10**7,), row, chunks=True)

    assert "divide the recording" in message(as_format("deeplabcut"), tracks(tmp_path, table))


def test_hdf5_with_a_data_set_in_the_place_of_a_group(tmp_path):
    def change(file):
        file.create_dataset("df_with_missing", (1 << 40,), "f4", chunks=True)

    assert "is no table of numbers" in message(as_format("deeplabcut"), tracks(tmp_path, change))


@pytest.mark.parametrize("taken", [0, 2**63, 2**64 - 16])
def test_hdf5_whose_entries_take_no_place_or_more_than_there_is(tmp_path, taken):
    def change(file):
        file["tracks"] = np.ones((1, 2, 2, 3))
        file["tracks"].attrs["dims"] = '["track", "xy", "node", "frame"]'

    path = tracks(tmp_path, change)
    assert as_format("sleap")(path)[0].keypoint.shape == (1, 3, 2, 2)
    content = path.read_bytes()
    free = content.index(b"GCOL") + 16 + 16 + 32  # behind the text
    assert struct.unpack_from("<H6xQ", content, free) == (0, 4096 - 64)
    path.write_bytes(content[: free + 8] + struct.pack("<Q", taken) + content[free + 16 :])
    assert "a heap whose entries do not fit" in message(as_format("sleap"), path)


LAUGHS = "[&b [1,1,1,1,1,1,1,1], &c [*b,*b,*b,*b,*b,*b,*b,*b], &d [*c,*c,*c,*c,*c,*c,*c,*c], "
LAUGHS += "&e [*d,*d,*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e,*e,*e], [*f,*f,*f,*f,*f,*f,*f,*f]]"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"defaults": "[../secret]"}, "its defaults name ../secret"),
        ({"defaults": "7"}, "is no benchmark"),
        ({"name": LAUGHS}, "where a text belongs"),
        ({"classes": f"[{LAUGHS}]"}, "where a text belongs"),
        ({"name": "x" * MOST_LETTERS}, "more than 524,288 letters"),
        ({"name": "!!python/object/apply:os.system [id]"}, "could not determine a constructor"),
    ],
)
def test_yaml_of_a_benchmark(tmp_path, changes, said):
    table = {
        "name": "x",
        "dimension": "2d",
        "normalise": "2d",
        "train_split": "a",
        "val_split": "b",
    }
    table |= {"classes": "[a, b]"} | changes
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "secret.yaml").write_text("name: secret\n")
    text = "".join(f"{key}: {value}\n" for key, value in table.items())
    written(tmp_path / "benchmark", "x.yaml", text)
    assert said in message(benchmark_tables, tmp_path)


def test_a_file_that_a_benchmark_includes_often_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "benchmark").mkdir()
    shared = "dimension: 2d\nnormalise: 2d\ntrain_split: a\nval_split: b\nclasses: [a, b]\n"
    written(tmp_path / "benchmark", "_all.yaml", shared)
    written(tmp_path / "benchmark", "x.yaml", f"name: x\ndefaults: [{'_all, ' * 500}]\n")
    read, table = [], shipped._table
    monkeypatch.setattr(shipped, "_table", lambda file: read.append(file) or table(file))
    assert benchmark_tables(tmp_path)[0].classes == ["a", "b"]
    assert len(read) == 2


def test_a_name_that_two_programs_read_differently(tmp_path):
    tensor = '"w": {"dtype": "%s", "shape": [%d], "data_offsets": [0, 4]}'
    head = ("{" + tensor % ("U8", 4) + ", " + tensor % ("F32", 1) + "}").encode()
    path = written(tmp_path, "x.safetensors", struct.pack("<Q", len(head)) + head + bytes(4))
    assert "a name is there twice" in message(read_safetensors, path)


def person(frame, track, place=5):
    """An entry of AlphaPose's results."""
    found = {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": [place, 6, 1] * 17}
    return found | {"score": 1, "idx": track}


def test_persons_of_a_frame_each_do_not_fill_the_memory(tmp_path):
    results = json.dumps([person(frame, frame) for frame in range(1500)])
    path = written(tmp_path, "x.json", results)
    assert "more than fits into memory" in message(as_format("alphapose"), path)


def test_a_crowd_takes_no_time(tmp_path):
    results = json.dumps([person(0, None, place % 900 + 5) for place in range(1001)])
    assert "1,001 people are in a frame" in message(
        as_format("alphapose"), written(tmp_path, "x.json", results)
    )


def test_frames_between_two_do_not_fill_the_memory(tmp_path):
    frames = [person(1000 * n + m, 0) for n in range(1700) for m in range(2)]
    (found,) = as_format("alphapose")(written(tmp_path, "x.json", json.dumps(frames)))
    assert found.keypoint.shape == (1, 3400, 17, 2)
    assert any("are not filled: they are too many" in remark for remark in found.remarks)


def test_joints_in_a_row_each_do_not_fill_the_memory(tmp_path):
    rows = "".join(f"{n},j{n},1,2\n" for n in range(5000))
    path = written(tmp_path, "x.csv", "frame,joint,x,y\n" + rows)
    assert "too many frames and joints" in message(as_format("csv"), path)


def test_a_skeleton_of_ten_thousand_joints_takes_no_time(tmp_path):
    V = 10_000
    table = {"name": "x", "joints": [*range(V)], "edges": [[v + 1, v] for v in range(V - 1)]}
    table |= {"bone_parents": [0, *range(V - 1)], "graph_centre": 0, "left_right": []}
    with pytest.raises(BadInput, match="more than 1,000 entries"):
        Skeleton.from_dict(table | {"normalise": None})

    edges = tuple((v + 1, v) for v in range(V - 1))
    recording = Recording("x", np.ones((1, 1, V, 2), np.float32), (*map(str, range(V)),))
    with pytest.raises(BadInput, match="x has 10,000 joints, more than"):
        stated_skeleton(replace(recording, edges=edges), "own")


def test_a_type_of_numbers_in_the_place_of_a_value_is_named():
    assert brief(np.dtype("int64")) == "a Int64DType"
