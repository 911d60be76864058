import collections
import contextlib
import pickle

import numpy as np
import pytest
from hostile import assembled, message, save
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.pickles import read_pickle


@pytest.mark.parametrize("protocol", range(6))
def test_read_pickle_returns_what_was_written(tmp_path, protocol):
    written = {
        "containers": [1, 2.5, None, True, "x", b"\xff", b"", (3,), {4}, frozenset({5}), 1j],
        "bytearrays": [bytearray(b"\x00\xff"), bytearray()],
        "ordered": collections.OrderedDict(a=np.float32(1)),
        "scalars": [np.int64(3), np.bool_(True), np.float16(0.5), np.str_("ä"), np.str_("")],
        "dtype": np.dtype(">f4"),
        "text": np.array(["a", "bcd"]),
        "big": np.arange(3).astype(">i4"),
        "none": np.zeros((2, 0, 3), np.float16),
        "zero_d": np.array(1.5),
    }
    path = save(tmp_path, pickle.dumps(written, protocol))
    found, numpy_found = read_pickle(path), pickle.loads(path.read_bytes())
    for key in ("text", "big", "none", "zero_d"):
        array, want = found.pop(key), numpy_found[key]
        written.pop(key)
        assert type(array) is np.ndarray
        assert array.dtype == want.dtype
        np.testing.assert_array_equal(array, want)
    assert found == written
    assert type(found["ordered"]) is dict
    assert type(found["scalars"][2]) is np.float16


@given(
    array=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=0, min_side=0),
    ),
    protocol=st.integers(0, 5),
    fortran=st.booleans(),
)
def test_arrays_survive_bit_for_bit(tmp_path_factory, array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    path = save(tmp_path_factory.mktemp("arrays"), pickle.dumps(array, protocol))
    found = read_pickle(path)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_names_of_numpy_1_are_admitted(tmp_path):
    content = pickle.dumps(np.arange(3.0), 2)
    assert b"numpy._core." in content or b"numpy.core." in content
    for core in (b"numpy.core.", b"numpy._core."):
        path = save(
            tmp_path, content.replace(b"numpy._core.", b"numpy.core.").replace(b"numpy.core.", core)
        )
        np.testing.assert_array_equal(read_pickle(path), [0, 1, 2])


def test_a_container_that_is_named_twice_stays_one(tmp_path):
    inner = [np.arange(2), ()]
    found = read_pickle(save(tmp_path, pickle.dumps([inner, {"again": inner}])))
    assert found[1]["again"] is found[0]


def test_a_name_cannot_forge_the_message(tmp_path):
    content = pickle.PROTO + b"\x04" + pickle.dumps("os\nall is well\x1b", 4)[2:-1]
    content += pickle.dumps("system", 4)[2:-1] + pickle.STACK_GLOBAL + b"."
    assert r"os\nall is well\x1b.system" in message(read_pickle, save(tmp_path, content))


def array_pickle(
    shape, code="f4", data=b"\0" * 8, dtype_state=(3, "<", None, None, None, -1, -1, 0)
):
    """The pickle of an array whose parts need not fit, spelt as numpy does."""
    dtype = assembled("numpy dtype", code, state=dtype_state)[:-1]
    content = assembled("numpy.core.multiarray _reconstruct", None, (0,), b"b")[:-1]
    content += b"(I1\n" + pickle.dumps(shape, 0)[:-1] + dtype + b"I00\n"
    return content + pickle.dumps(data, 3)[2:-1] + b"tb."


NUMPY = "numpy.core.multiarray"


@pytest.mark.parametrize(
    "content",
    [
        assembled("numpy dtype", ["f4"]),
        assembled("numpy dtype", "f4", state=(3, "?", None, ("x",), {"x": 1}, 8, 8, 63)),
        assembled("numpy ndarray", (3,)),
        assembled("_codecs encode", "x", "rot13"),
        assembled("builtins bytearray", 1 << 40),
        assembled(f"{NUMPY} scalar"),
        assembled(f"{NUMPY} _reconstruct", None, (0,), b"b", state=(1, (3,), "f4", False, b"123")),
        assembled(f"{NUMPY} _reconstruct", None, (0,), b"b", state="x"),
        assembled("numpy.core.numeric _frombuffer", b"1234", "f4", (1,), "C"),
        assembled("collections OrderedDict", 3),
        array_pickle((2,), code="O8"),
        array_pickle((1 << 40, 0), code="O8", data=[]),
        array_pickle((), code="O8", data=[None]),
        array_pickle((1 << 40,), code="U0", data=b""),
        array_pickle((3, -1), code="O8", data=[None] * 3),
        array_pickle((1,) * 3000, code="O8", data=[None]),
        b"not a pickle",
        b"(" * 100 + b"l" * 99 + b"R.",
        b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_damaged_and_tricky_content_is_refused_in_one_sentence(tmp_path, content):
    path = save(tmp_path, content)
    assert f"{path} is damaged, or not a pickle" in message(read_pickle, path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (assembled("numpy dtype", "f16"), "numbers of np.longdouble"),
        (assembled("numpy dtype", "V8"), "'V8'"),
        (pickle.dumps(np.zeros(2, dtype=[("x", "f4")])), "'V4'"),
    ],
)
def test_an_array_of_neither_numbers_nor_text_is_called_so(tmp_path, content, kind):
    path = save(tmp_path, content)
    sentence = message(read_pickle, path)
    assert f"{path} holds an array of {kind}" in sentence
    assert "only arrays of numbers or text are read" in sentence
    assert "truncated" not in sentence


def test_an_array_pickle_of_fitting_parts_is_read(tmp_path):
    found = read_pickle(save(tmp_path, array_pickle((2,))))
    np.testing.assert_array_equal(found, np.zeros(2, np.float32))


@pytest.mark.parametrize(
    "parts",
    [
        {"shape": (3,)},
        {"shape": (-1, -2)},
        {"shape": (1 << 62, 4)},
        {"shape": (True, 2)},
        {"shape": "ab"},
        {"shape": (2,), "data": "text"},
        {"shape": (2,), "dtype_state": (3, "x", None, None, None, -1, -1, 0)},
    ],
)
def test_an_array_whose_parts_do_not_fit_is_refused(tmp_path, parts):
    assert "is damaged, or not a pickle" in message(
        read_pickle, save(tmp_path, array_pickle(**parts))
    )


def test_a_buffer_longer_than_its_array_is_refused(tmp_path):
    content = pickle.dumps(np.arange(4, dtype=np.int8), 5)
    assert content.count(b"K\x04\x85") == 1  # the shape
    path = save(tmp_path, content.replace(b"K\x04\x85", b"K\x03\x85"))
    assert "whose shape does not fit its bytes" in message(read_pickle, path)


def test_a_dtype_state_cannot_lie_about_size_or_kind(tmp_path):
    state = (3, "<", None, None, None, 4096, 1, 63)
    found = read_pickle(save(tmp_path, array_pickle((2,), dtype_state=state)))
    assert found.dtype == np.dtype("<f4")
    assert found.dtype.flags == np.dtype("<f4").flags


@pytest.mark.parametrize("name", ["collections OrderedDict", "numpy dtype", "_codecs encode"])
@pytest.mark.parametrize("state", [{"x": 1}, (None, {"__init__": 1, "__call__": 1, "x": 1})])
def test_a_pickle_cannot_change_what_it_is_given(tmp_path, name, state):
    content = f"c{name.replace(' ', chr(10))}\n".encode() + pickle.dumps(state, 0)[:-1] + b"b."
    message(read_pickle, save(tmp_path, content))
    test_names_of_numpy_1_are_admitted(tmp_path)


# CPython may allocate gigabytes for the memo of a damaged pickle, which takes a second.
@settings(deadline=None)
@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255))))
def test_any_damage_is_bad_input_or_harmless(tmp_path_factory, cut, flips):
    content = bytearray(pickle.dumps({"a": [np.arange(20.0), "x"], "b": (np.float32(2),)}, 2))
    for position, byte in flips:
        content[position % len(content)] = byte
    path = save(tmp_path_factory.mktemp("damage"), bytes(content[: len(content) - cut]))
    with contextlib.suppress(BadInput):
        read_pickle(path)


def test_a_second_pickle_in_the_file_is_not_ignored(tmp_path):
    path = save(tmp_path, pickle.dumps([1]) + pickle.dumps({"split": 2}))
    assert "holds more than one pickle" in message(read_pickle, path)
