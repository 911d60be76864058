import gc
import os
import pickle

import pytest
from hostile import Calls, assembled, message, save

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.dumps import read_test_dump
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.unpickling import Unpickler

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


@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_that_fails_is_given_back(tmp_path, reader):
    """Its stack holds a method of the unpickler: a circle that Python's collector does not see."""
    path = save(tmp_path, b"\x80\x02c__builtin__\nset\nc__builtin__\nset\nK\x01R.", reader)
    assert "is damaged, or not" in message(READERS[reader], path)
    gc.collect()
    assert not [one for one in gc.get_objects() if issubclass(type(one), Unpickler)]


def within(inner, make, times=18):
    """A container that names the one below it twice, which does the same: 2^`times` ways to it."""
    for _ in range(times):
        inner = make(inner, inner)
    return inner


def in_itself():
    made = {}
    made["x"] = [made]
    return made


REPEATING = {
    "lists": {"x": within([1], lambda *both: [*both])},
    "tuples": {"x": within((1,), lambda *both: both)},
    "dicts": within({"x": 1}, lambda a, b: {"a": a, "b": b}),
    "wide": {"x": [[0.5] * 1000] * 1000},
    "cycle": in_itself(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("way", REPEATING)
def test_a_pickle_that_names_its_containers_again_and_again_is_refused(tmp_path, reader, way):
    """Whoever looks at all that it holds would go on for hours: numpy, our own checks of a card."""
    path = save(tmp_path, pickle.dumps(REPEATING[way]), reader)
    said = "a container in itself" if way == "cycle" else r"\d{6,} values named again"
    with pytest.raises(BadInput, match=said):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_a_few_names_of_one_container_are_read(tmp_path, reader):
    shape = (1080, 1920)
    content = {"split": [[*range(5000)]] * 10, "annotations": [{"img_shape": shape}] * 1000}
    assert READERS[reader](save(tmp_path, pickle.dumps(content), reader)) == content
