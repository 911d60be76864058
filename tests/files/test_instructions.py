"""What is bounded before a pickle is executed: memory, lengths, keys."""

import io
import pickle
import pickletools
import time

import numpy as np
import pytest
from hostile import message, save

from stgcn_lightning.files import instructions
from stgcn_lightning.files.instructions import FREE_PLACES, walked
from stgcn_lightning.files.pickles import read_pickle

PLAIN = {
    "text": "x" * 300,
    "bytes": b"y" * 300,
    "numbers": [1, 2.5, -3, 1 << 40, 10**30, True, None],
    "sets": [set(), {1, 2}, frozenset(), frozenset("ab")],
    "dicts": [{}, {"a": {}}, {1: {2: 3}}, {1.5: b"z", None: 0, b"k": 1}],
    "tuples": ((), (1,), (1, (2, 3))),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("optimised", [False, True])
def test_what_is_walked_means_the_same(tmp_path, protocol, optimised):
    content = pickle.dumps(PLAIN, protocol)
    content = pickletools.optimize(content) if optimised else content
    found = read_pickle(save(tmp_path, content))
    assert found == PLAIN
    assert type(found["dicts"][0]) is dict


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_many_places_in_memory_are_as_many_as_a_large_file_needs(tmp_path, protocol):
    names = [f"S{i:06}" for i in range(FREE_PLACES + 1000)]
    assert read_pickle(save(tmp_path, pickle.dumps(names, protocol))) == names


def test_a_file_of_one_pickle_is_left_at_its_end():
    whole = pickle.dumps(PLAIN, 4)
    file = io.BytesIO(b"before" + whole + b"after")
    file.seek(6)
    walked(file)
    assert file.read() == b"after"


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr" + (1 << 30).to_bytes(4, "little") + b".",
        b"Np1073741824\n.",
        b"Np" + b"9" * 5000 + b"\n.",
        b"\x80\x02Nr" + (FREE_PLACES + 1).to_bytes(4, "little") + b".",
    ],
)
def test_a_place_that_no_such_file_needs_is_refused(tmp_path, content):
    assert "more memory than a file of its size" in message(read_pickle, save(tmp_path, content))


@pytest.mark.parametrize("code", [b"B", b"\x8e", b"\x96", b"X", b"\x8d", b"T", b"\x8b"])
def test_a_length_beyond_the_end_is_called_truncated(tmp_path, code):
    width = {b"\x8e": 8, b"\x96": 8, b"\x8d": 8}.get(code, 4)
    most = 256**width - 1 if width == 8 else 2**31 - 1
    for length in (4, most):
        content = b"\x80\x04" + code + length.to_bytes(width, "little") + b"abc"
        sentence = message(read_pickle, save(tmp_path, content))
        assert sentence.endswith("is truncated: copy or download it again")


def laughing(levels: int = 60) -> bytes:
    """A tuple of two that are the tuple below, as deep: its hash takes 2 ** levels steps."""
    return b"\x80\x02)\x85" + b"2\x86" * levels


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}" + laughing()[2:] + b"Ns.",
        b"\x80\x04}(" + laughing()[2:] + b"Nu.",
        b"\x80\x04(" + laughing()[2:] + b"Nd.",
        b"\x80\x04\x8f(" + laughing()[2:] + b"\x90.",
        b"\x80\x04(" + laughing()[2:] + b"\x91.",
        b"\x80\x04cbuiltins\nset\n]" + laughing()[2:] + b"a\x85R.",
        b"\x80\x04ccollections\nOrderedDict\n](" + laughing()[2:] + b"Nea\x85R.",
        b"\x80\x04c_codecs\nencode\n(X\1\0\0\0x" + laughing()[2:] + b"tR.",
    ],
    ids=["item", "items", "dict", "set", "frozen set", "set of a list", "dict of a list", "text"],
)
def test_nothing_takes_long_to_hash_or_to_write(tmp_path, content):
    begin = time.monotonic()
    message(read_pickle, save(tmp_path, content))
    assert time.monotonic() - begin < 5  # it would take years


def test_a_key_of_many_digits_is_refused(tmp_path):
    path = save(tmp_path, pickle.dumps({1 << 9999: 0}, 4))
    assert "a key of many digits" in message(read_pickle, path)


@pytest.mark.parametrize("block", [16, 64, 1000, instructions.BLOCK])
def test_blocks_change_nothing(monkeypatch, block):
    monkeypatch.setattr(instructions, "BLOCK", block)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        whole = pickle.dumps([PLAIN, np.arange(99)], protocol)
        assert walked(io.BytesIO(whole)) == _in_one(whole, monkeypatch, block)


def _in_one(whole, monkeypatch, block):
    monkeypatch.setattr(instructions, "BLOCK", len(whole) + 1)
    found = walked(io.BytesIO(whole))
    monkeypatch.setattr(instructions, "BLOCK", block)
    return found


@pytest.mark.parametrize(
    "content",
    [
        # a call with a long tuple, again and again: each copies it
        b"\x80\x04cbuiltins\nset\n(" + b"N" * 200 + b"tR.",
        b"\x80\x04ccollections\nOrderedDict\n(" + b"N" * 200 + b"tR.",
        b"\x80\x04\x8c\x05torch\x8d" + (9000).to_bytes(8, "little") + b"x" * 9000 + b"\x93.",
    ],
)
def test_what_would_be_copied_again_and_again_is_refused(tmp_path, content):
    sentence = message(read_pickle, save(tmp_path, content))
    assert "a call with 200 arguments" in sentence or "a name that no module has" in sentence
