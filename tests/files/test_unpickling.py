import gc
import os
import pickle
from contextlib import suppress

import numpy as np
import pytest
import torch
from hostile import Calls, assembled, message, save

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import Inert, read_checkpoint
from stgcn_lightning.files.dumps import read_test_dump
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.unpickling import Unpickler

ONES = np.ones(25_000)
READERS = {"pickle": read_pickle, "checkpoint": read_checkpoint, "dump": read_test_dump}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_executes_nothing_and_is_named(tmp_path, reader, protocol):
    touched = tmp_path / "touched"
    content = pickle.dumps(Calls(os.system, f"touch {touched}"), protocol)
    path = save(tmp_path, content, reader)
    with pytest.raises(BadInput, match=r"asks for posix\.system, which .* nothing .* was executed"):
        READERS[reader](path)
    assert str(path) in message(READERS[reader], path)
    assert not touched.exists()
    if reader != "checkpoint":
        pickle.loads(content)
        assert touched.exists()  # it would have


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "builtins exec",
        "__builtin__ eval",
        "builtins __import__",
        "builtins setattr",
        "sys exit",
        "subprocess Popen",
        "shutil rmtree",
        "pickle loads",
        "_codecs lookup",
        "__main__ x",
        "collections OrderedDict.__init__",
    ],
)
def test_every_other_name_is_refused(tmp_path, reader, name):
    path = save(tmp_path, assembled(name, "x"), reader)
    assert name.replace("__builtin__", "builtins").replace(" ", ".") in message(
        READERS[reader], path
    )


@pytest.mark.parametrize("reader", ["pickle", "dump"])
@pytest.mark.parametrize("name", ["builtins getattr", "torch load", "numpy load", "numpy fromfile"])
def test_only_checkpoints_may_name_foreign_libraries(tmp_path, reader, name):
    path = save(tmp_path, assembled(name, "x"), reader)
    assert f"asks for {name.replace(' ', '.')}" in message(READERS[reader], path)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_or_a_folder_is_named(tmp_path, reader):
    assert "there is no file" in message(READERS[reader], tmp_path / "absent.pkl")
    assert "absent.pkl" in message(READERS[reader], tmp_path / "absent.pkl")
    assert f"cannot read {tmp_path}: Is a directory" in message(READERS[reader], tmp_path)


def within(inner, make, times=18):
    """A container that names the one below it twice, which does the same: 2^`times` ways to it."""
    for _ in range(times):
        inner = make(inner, inner)
    return inner


def in_itself():
    made = {}
    made["x"] = [made]
    return made


def objects(*values):
    made = np.empty(len(values), object)
    made[:] = values
    return made


def of_itself():
    made = np.empty(1, object)
    made[0] = made
    return made


NAMES = {f"s{number}" for number in range(2000)}
REPEATING = {
    "lists": {"x": within([1], lambda *both: [*both])},
    "tuples": {"x": within((1,), lambda *both: both)},
    "dicts": within({"x": 1}, lambda a, b: {"a": a, "b": b}),
    "wide": {"x": [[0.5] * 1000] * 1000},
    "sets": {str(number): NAMES for number in range(2000)},
    "arrays": {str(number): ONES for number in range(3000)},
    "objects": {"x": within(objects(1, 2), objects)},
    "cycle": in_itself(),
    "cycle of objects": {"x": of_itself()},
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("way", REPEATING)
def test_a_pickle_that_names_its_values_again_and_again_is_refused(tmp_path, reader, way):
    """Whoever looks at all that it holds would go on for hours: numpy, our own checks of a card."""
    path = save(tmp_path, pickle.dumps(REPEATING[way]), reader)
    if reader == "checkpoint" and way in ("arrays", "objects", "cycle of objects"):
        assert set(READERS[reader](path).values()) == {Inert}  # numpy's are not read there
        return
    said = "holds itself" if "cycle" in way else "again and again"
    with pytest.raises(BadInput, match=said):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_a_few_names_of_one_container_are_read(tmp_path, reader):
    shape, many = (1080, 1920), [[*range(5000)]]
    content = {"split": many * 10, "annotations": [{"img_shape": shape}] * 1000}
    assert READERS[reader](save(tmp_path, pickle.dumps(content), reader)) == content


def test_rare_samples_may_be_in_a_file_many_times(tmp_path):
    annotations = [{"frame_dir": str(k), "keypoint": ONES} for k in range(30)]
    found = read_pickle(save(tmp_path, pickle.dumps(annotations)))
    assert all(one["keypoint"] is found[0]["keypoint"] for one in found)


def test_a_tensor_that_is_named_again_and_again_is_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    one = torch.zeros(100_000)
    torch.save({"tied": one, "with": one}, path)
    assert len(read_checkpoint(path)) == 2
    torch.save({f"p{number}": one for number in range(3000)}, path)
    with pytest.raises(BadInput, match="named again and again"):
        read_checkpoint(path)


def test_a_dict_is_not_moved_from_one_to_the_next_without_end(tmp_path):
    begins = b"\x80\x02ccollections\nOrderedDict\nq\x00"
    assert read_pickle(save(tmp_path, begins + b"h\x00" * 3 + b"}\x85R\x85R\x85R.")) == {}
    path = save(tmp_path, begins + b"h\x00" * 50 + b"}" + b"\x85R" * 50 + b".")
    assert "a dict made of a dict again and again" in message(read_pickle, path)


def test_the_storages_of_an_old_checkpoint_have_names(tmp_path):
    """The hash of a tuple of tuples, each twice the next, is computed for years."""
    key = within(("a",), lambda *both: both)
    parts = (0x1950A86A20F9469CFC6C, 1001, {}, {}, [key])
    path = save(tmp_path, b"".join(pickle.dumps(one, 2) for one in parts))
    assert "a storage without a name" in message(read_checkpoint, path)


@pytest.mark.parametrize("end", [b"K\x01R.", b"K\x01."])
@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_does_not_keep_its_unpickler(tmp_path, reader, end):
    """A method that is left on its stack is a circle that Python's collector does not see."""
    path = save(tmp_path, b"\x80\x02c__builtin__\nset\nc__builtin__\nset\n" + end, reader)
    with suppress(BadInput):
        READERS[reader](path)
    gc.collect()
    assert not [one for one in gc.get_objects() if issubclass(type(one), Unpickler)]
