"""Files of other formats, each called by its name by every reader."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hostile import message
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.kinds import refuse_other_kind, refuse_text
from stgcn_lightning.sources.mmaction2 import read_annotations

READERS = {
    "annotations": read_annotations,
    "score files": read_scores,
    "checkpoints": read_weights,
}
ANNOTATIONS = pickle.dumps({"split": {"train": []}, "annotations": []})


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(write, *content):
    buffer = io.BytesIO()
    write(buffer, *content)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pkl"))
    return buffer.getvalue()


def safetensors():
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


FILES = {  # name -> content, and what a reader says
    "a.pkl.gz": (gzip.compress(ANNOTATIONS), "is a gzip file: unpack it, gunzip -c FILE > NEW"),
    "gz.pkl": (gzip.compress(ANNOTATIONS), "is a gzip file: unpack it"),
    "a.tar.gz": (gzip.compress(tarred()), "is a gzip file of an archive: unpack it, tar xf FILE"),
    "a.joblib": (zlib.compress(ANNOTATIONS), "is compressed by zlib: write it again, pickle.dump"),
    "a.bz2": (bz2.compress(ANNOTATIONS), "is a bzip2 file: unpack it, bunzip2"),
    "a.xz": (lzma.compress(ANNOTATIONS), "is an xz file: unpack it, unxz"),
    "a.tar": (tarred(), "is a tar archive: unpack it, tar xf FILE"),
    "a.zip": (zipped(a=ANNOTATIONS), "is a zip archive: unpack it, unzip FILE"),
    "a.npy": (saved(np.save, np.zeros(3)), "is one array of numpy (.npy): "),
    "a.npz": (saved(np.savez, np.zeros(3)), "is an .npz archive of numpy: "),
    "a.pt": (saved(lambda file, x: torch.save(x, file), {"x": 1}), "is a file of torch.save"),
    "a.safetensors": (safetensors(), "is a safetensors file: "),
    "a.json": (b'{"images": [1, 2]}', "is a JSON file: "),
    "list.pkl": (b'\n[{"frame_dir": "a"}]', "is a JSON file: "),
    "a.yaml": (b"name: tiny\nclasses: 3\n", "is a YAML file: "),
    "a.csv": (b"class,label,x\na,1,2\nb,3,4\n", "is a CSV table: "),
    "table.pkl": (b"id;x;y\r\n1;2;3\r\n", "is a CSV table: "),
    "login.pkl": (b"<!DOCTYPE html>\n<html><body>Sign in", "is a web page, such as a login"),
    "error.pth": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "is XML, such as a server's"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "lfs.pth": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
        "is a Git LFS pointer",
    ),
    "empty.pkl": (b"", "is empty: copy or download it again"),
    "a.mat": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "is a MATLAB file (.mat): "),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "is an HDF5 file: "),
    "a.parquet": (b"PAR1\x15\x04\x15", "is a Parquet table: "),
    "a.onnx": (b"\x08\x0a\x12\x07pytorch\x1a\x062.13.0", "is an ONNX model: "),
    "prose.md": (b"Key points, of a gym.\nMade in May, by us, there.\n", "is a text file: "),
    "readme.txt": (b"Key points of the gym.\nMade in May.\n", "is a text file: "),
}
OWN = {"a.pt": "checkpoints", "a.safetensors": "checkpoints", "a.npz": "score files"}


@pytest.mark.parametrize(
    ("reader", "name"),
    [(reader, name) for reader in READERS for name in FILES if OWN.get(name) != reader],
)
def test_a_file_of_another_format_is_called_by_its_name(tmp_path, reader, name):
    content, sentence = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    said = message(READERS[reader], path)
    assert f"{path} {sentence}" in said
    assert "truncated" not in said
    assert "trust" not in said


def test_a_pickle_for_another_reader_says_which(tmp_path):
    for content, said in (
        ({"split": {}, "annotations": []}, "is a pickle of annotations, no checkpoint"),
        ([{"pred_score": [1.0], "gt_label": [0]}], "is a pickle of scores, no checkpoint"),
        ({"epoch": 3}, "is a plain pickle: a checkpoint is what torch.save"),
    ):
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(content))
        assert said in message(read_weights, path)
    path.write_bytes(pickle.dumps([{"pred_score": [1.0], "gt_label": [0]}]))
    assert "annotation 0 of" in message(read_annotations, path)
    assert "is what a test answered" in message(read_annotations, path)
    path.write_bytes(ANNOTATIONS)
    assert "holds annotations, no scores" in message(read_scores, path)


@given(
    value=st.recursive(st.none() | st.integers() | st.text(), st.lists), protocol=st.integers(0, 5)
)
def test_a_pickle_is_never_taken_for_another_format(tmp_path_factory, value, protocol):
    path = tmp_path_factory.mktemp("kinds") / "x.pkl"
    path.write_bytes(pickle.dumps({"split": value, "annotations": [value]}, protocol))
    refuse_other_kind(path, "annotations")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])  # truncated, and not a text
    refuse_other_kind(path, "annotations")
    refuse_text(path, "annotations")


def test_only_a_truncated_file_is_called_truncated(tmp_path):
    whole = pickle.dumps({"split": {"train": ["a"] * 100}, "annotations": []}, 4)
    path = tmp_path / "x.pkl"
    for cut in (2, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match="is truncated: copy or download it again"):
            read_annotations(path)
