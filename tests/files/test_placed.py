"""Pickles that are read without their long runs of bytes give what they give read whole."""

import os
import pickle
import random
import tracemalloc

import numpy as np
import pytest
import torch
from hostile import Calls, assembled, save

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files import instructions
from stgcn_lightning.files.instructions import walked
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.placed import ArrayInFile

KEYS = ("keypoint", "keypoint_score")


def arrays():
    draw = np.random.default_rng(0)
    array = draw.normal(300, 50, (2, 40, 5, 3))
    return {
        "float16": array.astype(np.float16),
        "float32": array.astype(np.float32),
        "float64": array,
        "columns first": np.asfortranarray(array),
        "other order of bytes": array.astype(">f4"),
        "short": array[:1, :1].astype(np.float16),
        "whole numbers": array.astype(np.int64),
        "text": np.array(["S001C001P001"] * 99),
        "masked": np.ma.masked_greater(array, 350).astype(np.float32),
        "tensor": torch.from_numpy(array),
        "objects": np.array([{"keypoint": array}, "x"], dtype=object),
    }


def content(**more):
    ids = [f"S{i:03}" for i in range(30)]
    records = [
        {
            "frame_dir": id,
            "label": i,
            "keypoint": array,
            "total_frames": 40,
            "other": b"x" * 999,
            "said": "\xe9" * 999,
            "keypoint_score": list(arrays().values())[i % 3][..., 0],
        }
        for i, (id, array) in enumerate(zip(ids, arrays().values(), strict=False))
    ]
    shared = dict(records[0])  # the same array once more
    return {"split": {"train": ids}, "annotations": [*records, shared], "alone": arrays(), **more}


def read_in_place(path):
    return read_pickle(path, in_place=KEYS)


def outcome(read, path):
    """What is read, or the sentence."""
    try:
        return read(path)
    except BadInput as error:
        return str(error)


def same(found, want, file):
    if isinstance(found, ArrayInFile):
        assert (found.shape, found.dtype, found.ndim) == (want.shape, want.dtype, want.ndim)
        assert found.size == want.size
        found = found.read(file)
    if isinstance(want, np.ndarray):
        np.testing.assert_array_equal(found, want, strict=True)
        assert found.flags.writeable
        assert found.flags.f_contiguous == want.flags.f_contiguous
    elif isinstance(want, dict):
        assert list(found) == list(want)
        for key in want:
            same(found[key], want[key], file)
    elif isinstance(want, list | tuple):
        assert len(found) == len(want)
        for one, other in zip(found, want, strict=True):
            same(one, other, file)
    else:
        assert type(found) is type(want)
        assert found == want


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", [1, -1])
def test_what_is_read_in_place_is_what_is_read_whole(tmp_path, protocol, order):
    things = dict([*content().items()][::order])  # splits first, or last
    path = save(tmp_path, pickle.dumps(things, protocol))
    found, want = read_in_place(path), read_pickle(path)
    stayed = [
        record["keypoint"]
        for record in found["annotations"]
        if isinstance(record["keypoint"], ArrayInFile)
    ]
    assert len(stayed) == 6
    with path.open("rb") as file:
        same(found, want, file)


@pytest.mark.parametrize("protocol", [0, 1])
def test_old_protocols_are_read_as_well(tmp_path, protocol):
    things = content()
    del things["alone"]["tensor"]  # which torch cannot write
    things["annotations"] = [one for one in things["annotations"] if one["label"] != 9]
    path = save(tmp_path, pickle.dumps(things, protocol))
    with path.open("rb") as file:
        same(read_in_place(path), read_pickle(path), file)


@pytest.mark.parametrize("block", [64, 1000, instructions.BLOCK])
def test_the_blocks_in_which_a_file_is_looked_at_change_nothing(tmp_path, monkeypatch, block):
    monkeypatch.setattr(instructions, "BLOCK", block)
    path = save(tmp_path, pickle.dumps(content(), 4))
    with path.open("rb") as file:
        same(read_in_place(path), read_pickle(path), file)


def test_the_bytes_of_arrays_are_not_held(tmp_path):
    large = [{"frame_dir": "S", "keypoint": np.ones((1, 100, 25, 3)) * i} for i in range(200)]
    path = save(tmp_path, pickle.dumps(large, 4))
    read_in_place(path)  # what is imported, and compiled
    tracemalloc.start()
    try:
        found = read_in_place(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6 < path.stat().st_size / 10
    finally:
        tracemalloc.stop()
    assert len(found) == 200


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_is_damaged_gets_the_same_sentence_wherever_it_is(tmp_path, protocol):
    whole = pickle.dumps(content(), protocol)
    draw = random.Random(protocol)
    for _ in range(150):
        damaged, several = bytearray(whole), draw.choice([1, 1, 5])
        if draw.random() < 0.4:
            del damaged[draw.randrange(len(whole)) :]
        else:
            for _ in range(several):
                damaged[draw.randrange(len(whole))] = draw.randrange(256)
        path = save(tmp_path, bytes(damaged))
        found, want = outcome(read_all, path), outcome(read_pickle, path)
        assert isinstance(found, str) == isinstance(want, str)
        if isinstance(want, str) and several == 1:  # of several faults, another may be found first
            assert found == want


def read_all(path):
    """In place, and then every array."""
    found = read_in_place(path)
    with path.open("rb") as file:
        for record in found["annotations"]:
            for array in record.values():
                if isinstance(array, ArrayInFile):
                    array.read(file)
    return found


@pytest.mark.parametrize("at", range(0, 4000, 97))
def test_a_pickle_that_ends_too_early_is_refused_in_the_same_words(tmp_path, at):
    path = save(tmp_path, pickle.dumps(content(), 4)[:at])
    assert outcome(read_in_place, path) == outcome(read_pickle, path)
    assert isinstance(outcome(read_in_place, path), str)


@pytest.mark.parametrize(
    "hostile",
    [
        lambda marker: Calls(os.system, f"touch {marker}"),
        lambda marker: {"keypoint": Calls(os.system, f"touch {marker}")},
        lambda marker: [np.ones(999), Calls(eval, f"open({str(marker)!r}, 'w')")],
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_hostile_pickle_executes_nothing(tmp_path, hostile, protocol):
    records = content()["annotations"]
    things = {"annotations": [*records, hostile(tmp_path / "touched"), *records], "split": {}}
    path = save(tmp_path, pickle.dumps(things, protocol))
    sentence = outcome(read_in_place, path)
    assert sentence == outcome(read_pickle, path)
    assert "nothing in it was executed" in sentence
    assert not (tmp_path / "touched").exists()


def array_of_state(*state):
    return Calls(np.zeros(1).__reduce__()[0], np.ndarray, (0,), b"b", state=state)


@pytest.mark.parametrize("thing", [b"x" * 100_000, np.ones(12_500), "\xe9" * 50_000])
def test_what_a_pickle_names_many_times_is_read_once(tmp_path, thing):
    things = [thing] * 20 + [{"keypoint": thing}] * 20
    path = save(tmp_path, pickle.dumps(things, 2 if isinstance(thing, np.ndarray) else 4))
    tracemalloc.start()
    try:
        found = read_in_place(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
    assert len(found) == 40


@pytest.mark.parametrize(
    "content",
    [
        b"K\x01Q.",  # a persistent id, which is ours alone
        b"P1\n.",
        b"\x8a\x01\x00\x8a\x01\x09\x89\x87Q.",  # as if it were a place
        b"B\xff\xff\xff\xffabc",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc",
        b"T\xff\xff\xff\xffabc.",  # fewer than no bytes
        b"\x95\xff\xff\xff\xff\x00\x00\x00\x00N.",  # a frame that is longer than the file
        b"\x8cN.",
        b"c",
        b"N",
        b"N.N.",
        b"\xffN.",
        assembled("numpy.core.multiarray _reconstruct", state=(1, (10**12,), None, False, b"")),
        # a shape that is no tuple
        pickle.dumps(array_of_state(1, b"\x02\x40", np.dtype("f4"), False, bytes(512))),
        # text that stands for bytes in another encoding, which another value names
        b"(X\5\0\0\0utf-8q\0c_codecs\nencode\nX\x90\1\0\0" + b"a" * 400 + b"h\0\x86Rl.",
    ],
)
def test_pickles_that_no_pickler_writes_are_refused_in_the_same_words(tmp_path, content):
    path = save(tmp_path, content)
    assert outcome(read_in_place, path) == outcome(read_pickle, path)
    assert isinstance(outcome(read_in_place, path), str)


def test_a_place_cannot_be_given_to_anything_but_an_array(tmp_path):
    long = b"B" + (999).to_bytes(4, "little") + b"x" * 999
    for name in ("collections OrderedDict", "numpy dtype", "torch.storage _load_from_bytes"):
        path = save(tmp_path, f"c{name.replace(' ', chr(10))}\n".encode() + b"(" + long + b"tR.")
        assert isinstance(outcome(read_in_place, path), str)


def test_an_array_of_a_file_that_has_become_shorter_is_refused(tmp_path):
    path = save(tmp_path, pickle.dumps([{"keypoint": np.ones((1, 40, 5, 3))}], 4))
    (found,) = read_in_place(path)
    os.truncate(path, 900)
    with path.open("rb") as file, pytest.raises(BadInput, match="is truncated"):
        found["keypoint"].read(file)


def test_text_that_stands_for_other_bytes_than_the_shape_says_is_refused(tmp_path):
    written = pickle.dumps([{"keypoint": np.full((1, 40, 5, 3), 1.5)}], 2)
    shorter = written.replace("\xf8".encode(), b"aa", 1)  # one character less of two bytes
    assert len(shorter) == len(written)
    assert shorter != written
    path = save(tmp_path, shorter)
    (found,) = read_in_place(path)
    with path.open("rb") as file:
        sentence = outcome(lambda _: found["keypoint"].read(file), path)
    assert sentence == outcome(read_pickle, path)
    assert "shape does not fit its bytes" in sentence


def test_it_is_told_how_far_it_is(tmp_path):
    path = save(tmp_path, pickle.dumps(content(), 4))
    seen = []
    read_pickle(path, in_place=KEYS, seen=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= path.stat().st_size


def test_what_is_left_of_a_pickle_is_small(tmp_path):
    path = save(tmp_path, pickle.dumps([np.ones(99_999) for _ in range(9)], 4))
    with path.open("rb") as file:
        assert len(walked(file, in_place=True)) < 2000
        assert file.tell() == path.stat().st_size
