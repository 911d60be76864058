import collections
import contextlib
import errno
import io
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import shared
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.untrusted import (
    Inert,
    read_checkpoint,
    read_pickle,
    read_safetensors,
    read_test_dump,
    safetensors_bytes,
    sha256,
    write_atomically,
    write_test_dump,
)

READERS = {"pickle": read_pickle, "checkpoint": read_checkpoint, "dump": read_test_dump}


def save(folder: Path, content: bytes, reader: str = "pickle") -> Path:
    """The pickle `content` as a file that `reader` opens."""
    path = folder / "input"
    if reader != "checkpoint":
        path.write_bytes(content)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


class Calls:
    """Pickles as `function(*args)`, then `state` set on the result."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def assembled(name: str, *args: object, state: object = None) -> bytes:
    """The pickle of calling the global `module name` with arguments, and of a state for it."""
    content = f"c{name.replace(' ', chr(10))}\n".encode()
    content += pickle.dumps(args, 0)[:-1] + b"R"
    if state is not None:
        content += pickle.dumps(state, 0)[:-1] + b"b"
    return content + b"."


# What may be read


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


def test_containers_that_hold_each_other_stay_so(tmp_path):
    loop = [np.arange(2), ()]
    loop.append((loop, {"loop": loop}))
    found = read_pickle(save(tmp_path, pickle.dumps(loop)))
    assert found[2][0] is found
    assert found[2][1]["loop"] is found


# Hostile pickles


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


def message(read, path) -> str:
    with pytest.raises(BadInput) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def test_a_name_cannot_forge_the_message(tmp_path):
    content = pickle.PROTO + b"\x04" + pickle.dumps("os\nall is well\x1b", 4)[2:-1]
    content += pickle.dumps("system", 4)[2:-1] + pickle.STACK_GLOBAL + b"."
    assert r"os\nall is well\x1b.system" in message(read_pickle, save(tmp_path, content))


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
        b"",
        b"\x80\x04",
        b"not a pickle",
        b"\x80\x04" + b"]\x94" * 3,
        b"(" * 100 + b"l" * 99 + b"R.",
        b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_damaged_and_tricky_content_is_refused_in_one_sentence(tmp_path, content):
    path = save(tmp_path, content)
    assert f"{path} is truncated or not a pickle" in message(read_pickle, path)


def array_pickle(
    shape, code="f4", data=b"\0" * 8, dtype_state=(3, "<", None, None, None, -1, -1, 0)
):
    """The pickle of an array whose parts need not fit, spelt as numpy does."""
    dtype = assembled("numpy dtype", code, state=dtype_state)[:-1]
    content = assembled("numpy.core.multiarray _reconstruct", None, (0,), b"b")[:-1]
    content += b"(I1\n" + pickle.dumps(shape, 0)[:-1] + dtype + b"I00\n"
    return content + pickle.dumps(data, 3)[2:-1] + b"tb."


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pickle.dumps([np.array([{}], dtype=object)]), "Python objects"),
        (pickle.dumps(np.array([None]), 2), "Python objects"),
        (assembled("numpy dtype", "|O8"), "Python objects"),
        (array_pickle((2,), code="O8"), "Python objects"),
        (assembled("numpy dtype", "V8"), "'V8'"),
        (pickle.dumps(np.zeros(2, dtype=[("x", "f4")])), "'V4'"),
    ],
)
def test_an_array_of_neither_numbers_nor_text_is_called_so(tmp_path, content, kind):
    path = save(tmp_path, content)
    told = message(read_pickle, path)
    assert f"{path} holds an array of {kind}" in told
    assert "only arrays of numbers or text are read" in told
    assert "truncated" not in told


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
    assert "is truncated or not a pickle" in message(
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


@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255))))
def test_any_damage_is_bad_input_or_harmless(tmp_path_factory, cut, flips):
    content = bytearray(pickle.dumps({"a": [np.arange(20.0), "x"], "b": (np.float32(2),)}, 2))
    for position, byte in flips:
        content[position % len(content)] = byte
    path = save(tmp_path_factory.mktemp("damage"), bytes(content[: len(content) - cut]))
    with contextlib.suppress(BadInput):
        read_pickle(path)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_or_a_folder_is_named(tmp_path, reader):
    assert "there is no file" in message(READERS[reader], tmp_path / "absent.pkl")
    assert "absent.pkl" in message(READERS[reader], tmp_path / "absent.pkl")
    assert f"cannot read {tmp_path}: Is a directory" in message(READERS[reader], tmp_path)


# Checkpoints


# All that torch can fill: the quantised ones and those of a few bits are names without arithmetic.
ALL_DTYPES = sorted(
    {
        dtype
        for dtype in vars(torch).values()
        if isinstance(dtype, torch.dtype)
        and not re.search(r"bits|q.?int|int[1-7]$|_x2", str(dtype))
    },
    key=str,
)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_tensors_of_every_dtype_are_read(tmp_path, dtype):
    flat = torch.arange(24 * dtype.itemsize, dtype=torch.uint8).remainder(2).view(dtype)
    torch.save({"x": flat}, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth")["x"]
    assert found.dtype == dtype
    assert torch.equal(found.view(torch.uint8), flat.view(torch.uint8))


def test_a_checkpoint_of_torch_save_is_read_as_torch_reads_it(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    base = torch.arange(24.0).reshape(4, 6)
    saved = {
        "state_dict": model.state_dict(),
        "parameter": torch.nn.Parameter(base.clone()),
        "views": [base.T, base[1:3, ::2], base[:0], torch.tensor(7), base[:1].expand(3, 6)],
        "size": base.shape,
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "plain": {"epoch": 3, "set": {1}, "names": ["a", None]},
    }
    torch.save(saved, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth")
    assert {k: type(v) for k, v in found["state_dict"].items()} == dict.fromkeys(
        model.state_dict(), torch.Tensor
    )
    assert type(found["state_dict"]) is dict
    model.load_state_dict(found["state_dict"])
    for name, value in model.state_dict().items():
        assert torch.equal(found["state_dict"][name], value)
    assert torch.equal(found["parameter"], base)
    assert not isinstance(found["parameter"], torch.nn.Parameter)
    for one, other in zip(found["views"], saved["views"], strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()
    for key in ("size", "device", "dtype", "plain"):
        assert found[key] == saved[key]


class Foreign(dict):
    """Of a class that is described as if it were MMEngine's."""

    def __init__(self, *args):
        super().__init__(*args)
        self.attribute = [1]

    def method(self): ...


Foreign.__module__, Foreign.__qualname__ = "mmengine.config", "Foreign"


def test_foreign_objects_are_inert_and_tensors_beside_them_are_read(tmp_path, monkeypatch):
    import sys
    import types

    module = types.ModuleType("mmengine.config")
    module.Foreign = Foreign
    monkeypatch.setitem(sys.modules, "mmengine", types.ModuleType("mmengine"))
    monkeypatch.setitem(sys.modules, "mmengine.config", module)
    foreign = Foreign({"x": torch.ones(1)})
    saved = {
        "foreign": foreign,
        "method": foreign.method,
        "numpy": [np.arange(3), np.float32(2)],
        "deque": collections.deque([1, 2]),
        "counter": collections.Counter("aab"),
        "path": tmp_path,
        "type": dict,
        "weight": torch.ones(2),
    }
    torch.save(saved, tmp_path / "x.pth")
    monkeypatch.undo()
    found = read_checkpoint(tmp_path / "x.pth")
    for key in ("foreign", "method", "deque", "counter", "path", "type"):
        assert found[key] is Inert
    assert found["numpy"] == [Inert, Inert]
    assert torch.equal(found["weight"], torch.ones(2))
    assert "mmengine" not in sys.modules


def test_getattr_is_never_obeyed(tmp_path):
    touched = tmp_path / "touched"
    # getattr(torch.serialization, "os").system("touch ..."), as a hostile file spells it
    content = b"cbuiltins\ngetattr\n(ctorch\nserialization\nVos\ntR"
    content = b"cbuiltins\ngetattr\n(" + content + b"Vsystem\ntR(V" + f"touch {touched}".encode()
    content = b"(Vx\n" + content + b"\ntRd."
    assert read_checkpoint(save(tmp_path, content, "checkpoint")) == {"x": Inert}
    assert not touched.exists()
    if os.name == "posix":
        pickle.loads(content)
        assert touched.exists()  # it would have


def test_nothing_that_a_checkpoint_does_to_inert_changes_it(tmp_path):
    state = pickle.dumps((None, {"__new__": 1, "append": 2}), 0)[:-1]
    content = b"(Vx\ncmmengine.logging\nHistoryBuffer\n" + state + b"bd."
    before = dict(vars(Inert))
    assert read_checkpoint(save(tmp_path, content, "checkpoint")) == {"x": Inert}
    assert dict(vars(Inert)) == before


@pytest.mark.slow
# Lightning 2.6 asks torch's pytree in a way that torch 2.13 calls deprecated.
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_lightning_checkpoint_is_read(tmp_path):
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.utilities.parsing import AttributeDict

    class Module(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
            self.save_hyperparameters({"width": AttributeDict(a=1)})

        def training_step(self, batch):
            return self.layer(torch.ones(1, 2)).sum()

        def train_dataloader(self):
            return [0]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    module = Module()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    found = read_checkpoint(tmp_path / "x.ckpt")
    assert torch.equal(found["state_dict"]["layer.weight"], module.layer.weight)
    assert found["optimizer_states"][0]["param_groups"][0]["lr"] == 0.1


def test_against_mmaction2_checkpoint():
    path = shared("interop/mmaction2_stgcn_tiny_bone_2d.pth")
    found = read_checkpoint(path)
    assert set(found) == {"meta", "state_dict", "message_hub", "optimizer", "param_schedulers"}
    assert Inert in found["message_hub"]["log_scalars"].values()
    # torch's own reader of storages, with its restrictions told that foreign classes are harmless
    with zipfile.ZipFile(path) as archive:
        raw = {n.split("/")[-1]: archive.read(n) for n in archive.namelist() if "/data/" in n}
    state = found["state_dict"]
    assert len(state) > 100
    assert {t.numpy().tobytes() for t in state.values()} <= set(raw.values())
    assert state["backbone.data_bn.weight"].shape == (51,)
    assert all(t.isfinite().all() for t in state.values())


def torch_zip(path: Path, change) -> Path:
    """A saved checkpoint, its records put through `change(name, content)`; None drops one."""
    buffer = io.BytesIO()
    torch.save({"x": torch.arange(6.0)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = change(name.split("/", 1)[1], source.read(name))
            if content is not None:
                target.writestr(name, content)
    return path


def test_a_rewritten_checkpoint_is_read(tmp_path):
    found = read_checkpoint(torch_zip(tmp_path / "x.pth", lambda name, content: content))
    assert torch.equal(found["x"], torch.arange(6.0))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda n, c: c if n != "data.pkl" else None, "a zip file but no torch checkpoint"),
        (lambda n, c: b"big" if n == "byteorder" else c, "written on a big-endian machine"),
        (lambda n, c: c[:-4] if n == "data/0" else c, "truncated .*data/0 is not as torch writes"),
        (lambda n, c: c if n != "data/0" else None, "truncated or not .*data/0"),
        (lambda n, c: c[:-9] if n == "data.pkl" else c, "truncated or not a pickle"),
        # a longer tensor, an offset, and a stride that leave the storage of six numbers
        (
            lambda n, c: c.replace(b"K\x00K\x06\x85", b"K\x00K\x07\x85"),
            "reaches beyond its storage",
        ),
        (
            lambda n, c: c.replace(b"K\x00K\x06\x85", b"K\x01K\x06\x85"),
            "reaches beyond its storage",
        ),
        (lambda n, c: c.replace(b"K\x01\x85", b"K\x02\x85"), "reaches beyond its storage"),
        (
            lambda n, c: c.replace(b"K\x00K\x06\x85", b"K\x63K\x00\x85"),
            "reaches beyond its storage",
        ),
        (lambda n, c: c.replace(b"K\x00K\x06\x85", b"J\xff\xff\xff\xffK\x06\x85"), "are no sizes"),
        (lambda n, c: c.replace(b"FloatStorage", b"QInt8Storage"), "storage of unknown kind"),
        (lambda n, c: c.replace(b"DoubleStorage", b"x"), None),
    ],
)
def test_damage_in_a_checkpoint_is_told_in_one_sentence(tmp_path, change, sentence):
    path = torch_zip(tmp_path / "x.pth", change)
    if sentence is None:
        assert len(read_checkpoint(path)["x"]) == 6
    else:
        with pytest.raises(BadInput, match=sentence):
            read_checkpoint(path)


def test_files_that_are_no_torch_zip_are_told_apart(tmp_path):
    whole = torch_zip(tmp_path / "whole.pth", lambda name, content: content).read_bytes()
    path = tmp_path / "x.pth"
    path.write_bytes(whole[: len(whole) // 2])
    assert "is truncated or damaged" in message(read_checkpoint, path)

    path.write_bytes(b"\x00\x01 something else")
    assert "is not a torch checkpoint: it is no zip file" in message(read_checkpoint, path)

    torch.save({"x": torch.ones(1)}, path, _use_new_zipfile_serialization=False)
    assert "before version 1.6" in message(read_checkpoint, path)
    assert "torch.save(torch.load(" in message(read_checkpoint, path)

    torch.save([1], path)
    assert "holds one list" in message(read_checkpoint, path)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("m/constants.pkl", b"")
    assert "TorchScript" in message(read_checkpoint, path)

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10_000_000)
    assert "not as torch writes it" in message(read_checkpoint, path)


def test_a_flipped_byte_of_a_weight_is_noticed(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"x": torch.full((1000,), 1.5)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\x00\x00\xc0\x3f" * 10)] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32" in message(read_checkpoint, path)


# Safetensors


def test_safetensors_come_back_with_their_card(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "n": torch.tensor(3)}
    card = {"classes": ["ä", "b"], "model": {"base_channels": 4}, "centre": None}
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(tensors, card))
    found, about = read_safetensors(tmp_path / "x.safetensors")
    assert about == card
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("keep", [0, 7, 60, -1])
def test_damaged_safetensors_are_refused_in_one_sentence(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"a": torch.ones(9)}, {})[:keep])
    assert f"{path} is truncated or no safetensors file" in message(read_safetensors, path)


def test_safetensors_of_others_have_no_card_and_a_damaged_one_is_refused(tmp_path):
    import safetensors.torch

    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.ones(9)}, {"format": "pt"}))
    assert read_safetensors(path)[1] == {}
    path.write_bytes(safetensors.torch.save({"a": torch.ones(9)}, {"stgcn_lightning": "{not"}))
    assert f"{path} is truncated or no safetensors file" in message(read_safetensors, path)


def test_a_missing_or_unreadable_safetensors_file_is_named(tmp_path, monkeypatch):
    assert "there is no file" in message(read_safetensors, tmp_path / "absent.safetensors")
    assert "Is a directory" in message(read_safetensors, tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "pip install 'stgcn_lightning[export]'" in message(read_safetensors, tmp_path / "x")


# Test dumps


@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 5)),
        elements=st.floats(0, 1, width=32),
    )
)
def test_a_written_test_dump_reads_back(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("dump") / "result.pkl"
    labels = np.arange(len(scores)) % scores.shape[1]
    write_test_dump(path, scores, labels)
    records = read_test_dump(path)
    np.testing.assert_array_equal([r["pred_score"] for r in records], scores)
    np.testing.assert_array_equal([r["gt_label"] for r in records], labels[:, None])
    np.testing.assert_array_equal([r["pred_label"] for r in records], scores.argmax(1)[:, None])
    assert [r["num_classes"] for r in records] == [scores.shape[1]] * len(scores)


def test_a_written_test_dump_is_small_and_torch_reads_it(tmp_path):
    write_test_dump(tmp_path / "x.pkl", np.eye(50), np.arange(50))
    assert (tmp_path / "x.pkl").stat().st_size < 50 * 1600  # every record its own scores only
    records = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert torch.equal(records[3]["pred_score"], torch.eye(50)[3])
    assert records[3]["pred_score"].dtype == torch.float32
    assert records[3]["gt_label"].tolist() == [3]


def test_against_mmaction2_test_dump():
    records = read_test_dump(shared("interop/mmaction2_test_dump.pkl"))
    assert len(records) == 12
    for record in records:
        assert record["pred_score"].shape == (4,)
        assert record["gt_label"].shape == (1,)
        assert record["pred_score"].sum() == pytest.approx(1, abs=1e-6)
        assert record["pred_label"] == record["pred_score"].argmax()


def test_a_dump_of_bfloat16_scores_is_read(tmp_path):
    path = save(tmp_path, pickle.dumps([{"pred_score": torch.ones(2).bfloat16()}], 2))
    assert read_test_dump(path)[0]["pred_score"].tolist() == [1, 1]


def test_a_hostile_storage_in_a_dump_executes_nothing(tmp_path):
    touched = tmp_path / "touched"
    inner = io.BytesIO()
    torch.save(Calls(os.system, f"touch {touched}"), inner, _use_new_zipfile_serialization=False)
    content = pickle.dumps([{"x": Calls(torch.storage._load_from_bytes, inner.getvalue())}], 2)
    assert "is truncated or not a pickle" in message(read_test_dump, save(tmp_path, content))
    assert not touched.exists()
    pickle.loads(content)
    assert touched.exists()  # it would have


@pytest.mark.parametrize("inner", [{"x": 1}, torch.ones(2)])
def test_a_storage_in_a_dump_must_be_one(tmp_path, inner):
    buffer = io.BytesIO()
    torch.save(inner, buffer)
    content = pickle.dumps([Calls(torch.storage._load_from_bytes, buffer.getvalue())])
    assert "a storage that is none" in message(read_test_dump, save(tmp_path, content))


@pytest.mark.parametrize("content", [{"a": 1}, [1], "x"])
def test_a_dump_is_a_list_of_dicts(tmp_path, content):
    path = save(tmp_path, pickle.dumps(content))
    assert "is not a test dump of MMAction2" in message(read_test_dump, path)


# Writing


def test_write_atomically_shows_the_file_only_when_complete(tmp_path):
    path = tmp_path / "out"
    with write_atomically(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def write():
        with write_atomically(path) as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("when", ["write", "fsync"])
def test_a_full_disk_names_the_folder_and_the_remedy(tmp_path, monkeypatch, code, when):
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(code, os.strerror(code))

    def write():
        with write_atomically(path):
            if when == "write":
                full()
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(
        BadInput, match=f"no space left in {tmp_path} .* choose a folder on another"
    ):
        write()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "absent" / "out", tmp_path / "file" / "out", tmp_path):
        with pytest.raises(BadInput, match=f"cannot write {path}: "), write_atomically(path):
            pass
    assert os.listdir(tmp_path) == ["file"]


def test_other_errors_of_the_block_pass_through(tmp_path):
    def write():
        with write_atomically(tmp_path / "out"):
            (tmp_path / "absent").read_bytes()

    with pytest.raises(FileNotFoundError):
        write()


def test_sha256_of_known_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert "there is no file" in message(sha256, tmp_path / "y")
