"""Innocent objects in pickles: each is read as what it is, or named with what to save instead."""

import argparse
import collections
import contextlib
import datetime
import fractions
import pathlib
import pickle
import re
import sys
import types

import numpy as np
import pytest
import torch
from hostile import message, save
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from stgcn_lightning.files.pickles import read_pickle

KEYPOINT = np.random.default_rng(0).normal(300, 50, (1, 4, 3, 2)).astype(np.float32)


def named(base, name):
    """A subclass that pickles under the name of another library's class."""
    module, _, own = name.rpartition(".")
    return type(own, (base,), {"__module__": module})


class EasyDict(dict):
    """As the package's: a dict whose items are attributes as well."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.__dict__.update(self)


class ConfigDict(dict):
    """As MMEngine's, which states how it is made anew."""

    def __reduce_ex__(self, protocol):
        return (type(self), (dict(self),), None, None, None, None)


class AddictDict(dict):
    """As addict's, which hands itself on as its state."""

    def __getnewargs__(self):
        return tuple(self.items())

    def __getstate__(self):
        return self


@contextlib.contextmanager
def importable(*classes):
    """Within, `pickle.dumps` finds these classes under the names that they give themselves."""
    with pytest.MonkeyPatch.context() as changed:
        for one in classes:
            parts = one.__module__.split(".")
            for end in range(1, len(parts) + 1):
                name = ".".join(parts[:end])
                changed.setitem(sys.modules, name, types.ModuleType(name))
            setattr(sys.modules[one.__module__], one.__name__, one)
        yield


def innocents():
    """name -> (object, what is read of it)."""
    masked = np.ma.masked_greater(KEYPOINT, 350)
    tensor = torch.from_numpy(KEYPOINT)
    conjugate = torch.view_as_complex(tensor.float()).conj()  # which torch has not computed yet
    return {
        "defaultdict": (collections.defaultdict(list, a=[1]), {"a": [1]}),
        "of dicts": (collections.defaultdict(collections.OrderedDict, a=1), {"a": 1}),
        "OrderedDict": (collections.OrderedDict(a=1), {"a": 1}),
        "Counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
        "posix path": (pathlib.PurePosixPath("/data/vid000.avi"), "/data/vid000.avi"),
        "path": (pathlib.Path("vid000"), "vid000"),
        "windows path": (pathlib.PureWindowsPath("C:/data/a"), "C:\\data\\a"),
        "tensor": (tensor, KEYPOINT),
        "turned tensor": (tensor.mT, KEYPOINT.swapaxes(2, 3)),
        "part of a tensor": (tensor[:, 1:3, ::2], KEYPOINT[:, 1:3, ::2]),
        "bfloat16": (tensor.bfloat16(), tensor.bfloat16().float().numpy()),
        "whole numbers": (torch.arange(3), np.arange(3)),
        "number": (torch.tensor(3), np.array(3)),
        "size": (torch.Size([480, 640]), (480, 640)),
        "parameter": (torch.nn.Parameter(tensor), KEYPOINT),
        "no tensor": (torch.empty(0, 3), np.empty((0, 3), np.float32)),
        "conjugate": (conjugate, conjugate.resolve_conj().numpy()),
        "negative": (conjugate.imag, conjugate.resolve_conj().numpy().imag.copy()),
        "masked": (masked, masked.filled(np.nan)),
        "masked, columns first": (masked.T, masked.T.filled(np.nan)),
        "masked by nothing": (np.ma.masked_array([1, 2]), np.array([1, 2])),
    }


def same(found, want):
    if isinstance(want, np.ndarray):
        assert type(found) is np.ndarray
        assert found.dtype == want.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, want)
    else:
        assert type(found) is type(want)
        assert found == want


@pytest.mark.parametrize("protocol", range(6))
def test_what_is_harmless_is_read_as_what_it_is(tmp_path, protocol):
    for name, (innocent, want) in innocents().items():
        if not (protocol < 2 and isinstance(innocent, torch.Tensor)):  # which torch cannot write
            same(read_pickle(save(tmp_path, pickle.dumps({name: innocent}, protocol)))[name], want)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_objects_are_read_as_lists(tmp_path, protocol, order):
    ids = np.array(["a", "b"], dtype=object)
    table = np.array([[KEYPOINT, 1, None], [{"x": KEYPOINT}, ids, "c"]], dtype=object, order=order)
    content = {"ids": ids, "table": table, "none": np.array([], dtype=object)}
    found = read_pickle(save(tmp_path, pickle.dumps(content, protocol)))
    assert (found["ids"], found["none"]) == (["a", "b"], [])
    (keypoint, one, nothing), (held, inner, last) = found["table"]
    same(keypoint, KEYPOINT)
    same(held["x"], KEYPOINT)
    assert (one, nothing, inner, last) == (1, None, ["a", "b"], "c")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("base", "name"),
    [
        (EasyDict, "easydict.EasyDict"),
        (ConfigDict, "mmengine.config.config.ConfigDict"),
        (AddictDict, "addict.addict.Dict"),
        (dict, "munch.Munch"),
    ],
)
def test_the_dicts_of_libraries_are_read_as_dicts(tmp_path, protocol, base, name):
    kind = named(base, name)
    with importable(kind):
        content = pickle.dumps([kind(a=1, b=kind(c=KEYPOINT))], protocol)
    (found,) = read_pickle(save(tmp_path, content))
    assert found["a"] == 1
    assert type(found["b"]) is dict
    np.testing.assert_array_equal(found["b"]["c"], KEYPOINT)


def test_a_mapped_array_is_read(tmp_path):
    np.save(tmp_path / "k.npy", KEYPOINT)
    mapped = np.load(tmp_path / "k.npy", mmap_mode="r")
    same(read_pickle(save(tmp_path, pickle.dumps(mapped))), KEYPOINT)


@given(
    st.recursive(
        st.sampled_from(["defaultdict", "posix path", "tensor", "masked", "Counter"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            | st.tuples(inner, inner)
        ),
        max_leaves=6,
    ),
    st.integers(2, 5),
)
def test_what_is_harmless_is_read_wherever_it_is(tmp_path_factory, shape, protocol):
    def filled(place, which):
        if isinstance(place, str):
            return innocents()[place][which]
        if isinstance(place, dict):
            return {key: filled(inner, which) for key, inner in place.items()}
        return type(place)(filled(inner, which) for inner in place)

    def compare(found, want):
        if isinstance(want, dict):
            assert found.keys() == want.keys()
            for key in want:
                compare(found[key], want[key])
        elif isinstance(want, list | tuple):
            assert type(found) is type(want)
            for one, other in zip(found, want, strict=True):
                compare(one, other)
        else:
            same(found, want)

    path = save(tmp_path_factory.mktemp("deep"), pickle.dumps(filled(shape, 0), protocol))
    compare(read_pickle(path), filled(shape, 1))


@pytest.mark.parametrize(
    ("innocent", "said"),
    [
        (np.ma.masked_equal([1, 2], 1), "a masked array of int64, .* save array.filled.0.;"),
        (torch.ones(1).expand(50), "a tensor of 50 numbers made of 1, .* tensor.contiguous"),
        (np.ma.masked, r"MaskedConstant, .* save np.nan"),
        (collections.deque([1]), r"collections.deque, which is not read: save list\(...\) in"),
        (range(3), r"builtins.range, which is not read: save list"),
        (types.SimpleNamespace(a=1), r"types.SimpleNamespace, .* save vars"),
        (argparse.Namespace(a=1), r"argparse.Namespace, .* save vars"),
        (datetime.date(2026, 1, 1), r"datetime.date, .* save str"),
        (fractions.Fraction(1, 2), r"fractions.Fraction, .* save float"),
        (torch.ones(2).to_sparse(), r"_rebuild_sparse_tensor, .* tensor.detach"),
        (np.rec.array([(1, 2.0)]), r"recarray, .* np.array"),
        (np.datetime64("2026-01-01"), "array of 'M8', .* or with lists, array.tolist"),
        (OmegaConf.create({"a": 1}), r"omegaconf.dictconfig.DictConfig, .* OmegaConf.to_container"),
    ],
    ids=str,
)
def test_what_is_not_read_is_named_with_what_to_save_instead(tmp_path, innocent, said):
    sentence = message(read_pickle, save(tmp_path, pickle.dumps([innocent])))
    assert re.search(f"input holds .*{said}", sentence), sentence
    assert "nothing in the file was executed" in sentence
    assert "trust" not in sentence
    assert "truncated" not in sentence


@pytest.mark.parametrize("name", ["pandas.core.frame.DataFrame", "PIL.Image.Image", "__main__.S"])
def test_objects_of_other_programs_are_named_too(tmp_path, name):
    kind = named(object, name)
    with importable(kind):
        content = pickle.dumps(kind())
    sentence = message(read_pickle, save(tmp_path, content))
    assert f"holds {name}, which is not read: save " in sentence
    assert "trust" not in sentence


def test_a_pickle_of_python_2_is_read(tmp_path):
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt"
    array += b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    array += rb"S'\x00\x00\xc0\x7f\x00\x00\x80?'" + b"\ntb"  # its bytes are text in Python 2
    content = b"(dS'a'\n" + array + rb"sS'b'" + b"\n" + rb"S'caf\xe9'" + b"\ns."
    found = read_pickle(save(tmp_path, content))
    same(found["a"], np.array([np.nan, 1], np.float32))
    assert found["b"] == "caf\xe9"


@pytest.mark.parametrize(
    "copied",
    [
        lambda: (b"_codecs\nencode\n", pickle.dumps("x" * 50_000, 3)[2:-1], b"Vlatin1\n"),
        lambda: (b"builtins\nbytearray\n", pickle.dumps(b"x" * 50_000, 3)[2:-1], b""),
        lambda: (b"pathlib\nPurePosixPath\n", pickle.dumps("x" * 50_000, 3)[2:-1], b""),
        lambda: (
            b"numpy.core.multiarray\nscalar\n",
            pickle.dumps(b"x" * 50_000, 3)[2:-1]
            + b"q\xc80"
            + pickle.dumps(np.dtype("S50000"), 2)[2:-1],
            b"h\xc8",
        ),
    ],
)
def test_a_pickle_cannot_have_a_value_copied_again_and_again(tmp_path, copied):
    name, value, more = copied()
    once = b"c" + name + b"(h\x01" + more + b"tR"
    path = save(tmp_path, b"(" + value + b"q\x01" + once * 3 + b"t.")
    read_pickle(path)
    path = save(tmp_path, b"(" + value + b"q\x01" + once * 20_000 + b"t.")
    assert "it would grow beyond its own size" in message(read_pickle, path)


def test_a_dict_takes_its_items_over(tmp_path):
    items = pickle.dumps({"a": 1}, 3)[2:-1]
    content = b"(" + items + b"q\x01" + b"ccollections\nCounter\n(h\x01tR" * 3 + b"t."
    assert read_pickle(save(tmp_path, content)) == ({}, {"a": 1}, {}, {})
