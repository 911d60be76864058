import collections
import copy
import io
import os
import pickle
import re
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import shared
from hostile import message, save

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files import archives
from stgcn_lightning.files.archives import Inert, read_checkpoint

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
    # the bytes of the storages as they are in the file
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
        (lambda n, c: c if n != "data.pkl" else None, "a zip archive: unpack it"),
        (lambda n, c: b"big" if n == "byteorder" else c, "written on a big-endian machine"),
        (lambda n, c: b"mixed" if n == "byteorder" else c, "a byte order that there is not"),
        (lambda n, c: c[:-4] if n == "data/0" else c, "damaged.*data/0 is not as torch writes"),
        (lambda n, c: c if n != "data/0" else None, "lacks data/0"),
        (lambda n, c: c[:-9] if n == "data.pkl" else c, "is truncated"),
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
def test_damage_in_a_checkpoint_is_named_in_one_sentence(tmp_path, change, sentence):
    path = torch_zip(tmp_path / "x.pth", change)
    if sentence is None:
        assert len(read_checkpoint(path)["x"]) == 6
    else:
        with pytest.raises(BadInput, match=sentence):
            read_checkpoint(path)


def test_files_that_are_no_torch_zip_are_distinguished(tmp_path):
    whole = torch_zip(tmp_path / "whole.pth", lambda name, content: content).read_bytes()
    path = tmp_path / "x.pth"
    path.write_bytes(whole[: len(whole) // 2])
    assert "is truncated or damaged" in message(read_checkpoint, path)

    path.write_bytes(b"\x00\x01 something else")
    assert "is not a torch checkpoint: it is no zip file" in message(read_checkpoint, path)

    torch.save([1], path)
    assert "holds one list" in message(read_checkpoint, path)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("m/constants.pkl", b"")
    assert "TorchScript" in message(read_checkpoint, path)

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10_000_000)
    assert "not as torch writes it" in message(read_checkpoint, path)

    entry = whole.rindex(b"PK\x01\x02", 0, whole.index(b"data.pkl", whole.index(b"PK\x01\x02")))
    packed = slice(entry + 20, entry + 24)  # bytes that the list at the end says are packed
    assert int.from_bytes(whole[packed], "little") < 1000
    path.write_bytes(whole[: packed.start] + b"\xfe\xff\xff\x7f" + whole[packed.stop :])
    assert "data.pkl is not as torch writes it" in message(read_checkpoint, path)


def test_a_checkpoint_of_before_torch_1_6_is_read_and_damage_is_named(tmp_path):
    path, base = tmp_path / "old.pth.tar", torch.arange(24.0).reshape(4, 6)
    saved = {"views": [base.T, base[1:3, ::2]], "half": torch.ones(3).half(), "epoch": 3}
    torch.save(saved, path, _use_new_zipfile_serialization=False)
    found = read_checkpoint(path)
    assert found["epoch"] == 3
    assert torch.equal(found["half"], saved["half"])
    for one, other in zip(found["views"], saved["views"], strict=True):
        assert torch.equal(one, other)
    content = path.read_bytes()
    lengthened = content.replace(b"\x18\0\0\0\0", b"\xff" * 5)
    for broken, what in (
        (content[:-8], "damaged"),
        (content[:400], "truncated"),
        (lengthened, "damaged"),
    ):
        path.write_bytes(broken)
        assert f"{path} is {what}" in message(read_checkpoint, path)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")  # which is saved beside it
@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_model_is_called_one_whatever_its_class(tmp_path, monkeypatch, zipped):
    class Net(torch.nn.Linear): ...

    Net.__module__, Net.__qualname__ = "net.st_gcn", "Net"
    module = types.ModuleType("net.st_gcn")
    module.Net = Net
    monkeypatch.setitem(sys.modules, "net", types.ModuleType("net"))
    monkeypatch.setitem(sys.modules, "net.st_gcn", module)
    path = tmp_path / "x.pth"
    for model in (torch.nn.Linear(2, 2), Net(2, 2), {"model": Net(2, 2)}):
        torch.save(model, path, _use_new_zipfile_serialization=zipped)
        sentence = message(read_checkpoint, path)
        assert "holds a whole model" in sentence
        assert "torch.save(model.state_dict(), FILE)" in sentence
        assert "Inert" not in sentence


def test_a_flipped_byte_of_a_weight_is_noticed(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"x": torch.full((1000,), 1.5)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\x00\x00\xc0\x3f" * 10)] ^= 1
    path.write_bytes(content)
    assert "x/data/0 has another checksum" in message(read_checkpoint, path)


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (8, lambda size: b"\x01\x00", "data.pkl is not as torch writes it"),  # encrypted
        (42, lambda size: b"\x01\x00\x00\x00", "data.pkl is not where it should be"),
        (20, lambda size: 2 * (size - 9).to_bytes(4, "little"), "data.pkl reaches beyond its end"),
        (20, lambda size: 2 * size.to_bytes(4, "little"), "would take more bytes than it has"),
    ],
)
def test_a_directory_that_lies_about_a_record_is_found_out(tmp_path, at, value, sentence):
    path = tmp_path / "x.pth"
    torch.save({"x": torch.ones(3)}, path)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    assert content[entry + 46 :].startswith(b"x/data.pkl")
    content[entry + at : entry + at + len(value(0xFFFF))] = value(len(content))
    path.write_bytes(content)
    assert sentence in message(read_checkpoint, path)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_had_put_off_is_done(tmp_path, zipped):
    x = torch.view_as_complex(torch.randn(5, 2)).conj()
    assert x.is_conj()
    assert x.imag.is_neg()
    for tensor in (x, x.imag, x.real):
        torch.save({"x": tensor}, tmp_path / "x", _use_new_zipfile_serialization=zipped)
        assert torch.equal(read_checkpoint(tmp_path / "x")["x"], tensor.resolve_conj())


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    def flat(content, dtype):
        raise MemoryError

    torch.save({"x": torch.ones(3)}, tmp_path / "x.pth")
    monkeypatch.setattr(archives, "flat_tensor", flat)
    assert "there is too little memory for" in message(read_checkpoint, tmp_path / "x.pth")


def test_a_stride_of_zero_multiplies_no_memory(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(1).expand(1 << 40)}}, tmp_path / "x.pth")
    sentence = message(read_checkpoint, tmp_path / "x.pth")
    assert "again and again, and it would grow beyond its own size: save each" in sentence


def test_records_that_overlap_are_not_read_again_and_again(tmp_path):
    names = {f"w{i}": torch.ones(20_000) for i in range(12)}
    torch.save(names, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        content = {one.filename: archive.read(one) for one in archive.infolist()}
    path = tmp_path / "y.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if not re.search(r"/data/[1-9]", name):
                archive.writestr(name, data)
        first = next(one for one in archive.filelist if one.filename.endswith("/data/0"))
        for i in range(1, 12):
            again = copy.copy(first)
            again.filename = f"{first.filename[:-1]}{i}"
            archive.filelist.append(again)
    assert path.stat().st_size < (tmp_path / "x.pth").stat().st_size / 5
    assert f"{path} is damaged" in message(read_checkpoint, path)
