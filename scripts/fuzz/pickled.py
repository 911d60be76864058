"""Changes to pickles: to their instructions, and to what they hold; and to what torch saves."""

import io
import pickle
import pickletools
import struct
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import torch
from trees import HOSTILE_TEXTS, changed, value

SHORT = (1, 1, 1, 2, 3, 8)
GLOBALS = (
    "os system", "builtins eval", "builtins exec", "builtins getattr", "builtins __import__",
    "subprocess Popen", "torch load", "torch.serialization load", "numpy load", "pickle loads",
    "_codecs encode", "codecs decode", "collections OrderedDict", "collections defaultdict",
    "builtins set", "builtins frozenset", "builtins complex", "builtins bytearray", "builtins list",
    "numpy ndarray", "numpy dtype", "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "numpy._core.numeric _frombuffer", "numpy.ma.core _mareconstruct",
    "numpy.core.multiarray array",
    "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "torch FloatStorage",
    "torch.storage UntypedStorage", "torch Size", "torch device", "torch float8_e4m3fn",
    "torch QInt32Storage", "pathlib PosixPath", "datetime datetime", "copyreg _reconstructor",
    "argparse Namespace", "functools partial", "operator attrgetter", "runpy run_path", "a b.c.d",
    "numpy.f2py.crackfortran myeval", "numpy.testing._private.utils runstring",
    "http.client HTTPSConnection",
    "stgcn_lightning.files.unpickling Unpickler", "torch.jit._pickle build_intlist", "__main__ x",
)  # fmt: skip
PIECES = (
    b"(", b"t", b"]", b"}", b")", b"e", b"s", b"u", b"a", b"R", b"b", b"\x81", b"\x92", b"\x85",
    b"\x86",
    b"\x87", b"0", b"1", b"2", b".", b"N", b"\x88", b"\x89", b"\x8f", b"\x90", b"\x91", b"\x93",
    b"\x94",
    b"Q", b"d", b"l", b"o", b"\x97", b"\x98", b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00",
    b"K\x00", b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"J\x00\x00\x00\x80", b"I01\n",
    b"Inan\n",
    b"L99999999999999999999L\n", b"Fnan\n", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"S'x'\n",
    b"Vx\\ud800\n",
    b"U\x01x", b"U\xffx", b"X\x01\x00\x00\x00x", b"X\xff\xff\xff\x7f", b"\x8c\x01x", b"\x8c\xff",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"C\x01x", b"B\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x96\x04\x00\x00\x00\x00\x00\x00\x00abcd", b"\x8a\x01\x05", b"\x8a\xff",
    b"\x8b\xff\xff\xff\x7f",
    b"\x8b\x00\x00\x00\x80", b"q\x00", b"r\xff\xff\xff\x7f", b"r\xff\xff\xff\xff",
    b"p999999999\n", b"p-1\n",
    b"h\x00", b"j\xff\xff\xff\x7f", b"g0\n", b"g99999999\n", b"Px\n", b"\x80\x02", b"\x80\x05",
    b"\x80\xff",
    b"\x95\x00\x00\x00\x00\x00\x00\x00\x00", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    b"ios\nsystem\n",
)  # fmt: skip
TYPES = (
    "f2", "f4", "f8", ">f4", "i1", "i8", "u8", "?", "c8", "S3", "U2", "O", "M8[s]", "m8[s]",
    "V4", "f4,i4",
    "g", "G",
)  # fmt: skip
SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (3,), (0, 0, 0, 0), (1, 0, 17, 2), (1, 3, 17, 0), (1, 3, 17, 1), (1, 3, 17, 2),
    (1, 3, 17, 3), (2, 3, 5, 2), (1, 3, 17), (3, 17, 2), (1, 1, 1, 1, 1), (1, 200, 17, 2),
    (1,) * 33,
)  # fmt: skip


@lru_cache(maxsize=64)
def instructions(content: bytes) -> tuple[bytes, ...] | None:
    """A pickle cut into its instructions, and what follows it; None where it is damaged."""
    try:
        at = [position for _, _, position in pickletools.genops(content)]
    except Exception:  # a second change of the same pickle
        return None
    assert all(position is not None for position in at)
    return tuple(content[a:b] for a, b in zip(at, [*at[1:], len(content)], strict=True))  # type: ignore[misc]


def named(rng: Random) -> bytes:
    """An instruction that asks for a name, in one of the three ways."""
    module, name = rng.choice(GLOBALS).split()
    way = rng.randrange(3)
    if way == 0:
        return f"c{module}\n{name}\n".encode()
    if way == 1:
        return (
            b"".join(b"\x8c" + bytes([len(one)]) + one.encode() for one in (module, name)) + b"\x93"
        )
    return f"(i{module}\n{name}\n".encode()


def in_pickle(rng: Random, content: bytes) -> bytes:
    """A pickle with other instructions, or the same with another content."""
    if rng.random() < 0.45 and (found := in_content(rng, content)):
        return found
    whole = instructions(content)
    if whole is None:
        return content[: rng.randrange(len(content) + 1)] + rng.choice(PIECES)
    made = list(whole)
    for _ in range(rng.choice(SHORT)):
        at, to = rng.randrange(len(made)), rng.randrange(len(made))
        kind = rng.randrange(10)
        if kind < 3:
            made[at:at] = [rng.choice(PIECES)]
        elif kind == 3:
            made[at:at] = [named(rng), *rng.choice(((), (b")", b"R"), (b"K\x01", b"\x85", b"R")))]
        elif kind == 4:
            del made[at : at + rng.choice((1, 1, 2, 9))]
            made = made or [b"."]
        elif kind == 5:
            made[at], made[to] = made[to], made[at]
        elif kind == 6:
            made[at:at] = made[to : to + rng.choice((1, 2, 5, 20))] * rng.choice((1, 1, 3))
        elif kind == 7:
            made[at] = argument_changed(rng, made[at])
        elif kind == 8:  # a name for another name
            names = [i for i, one in enumerate(made) if one[:1] in b"c\x93"]
            made[rng.choice(names) if names else at] = named(rng)
        else:
            depth = rng.choice((10, 1000, 20_000))
            made[at:at] = [rng.choice((b"(", b"]", b")\x85", b"]\x94h\x00a", b"\x8f")) * depth]
    return b"".join(made)


def argument_changed(rng: Random, instruction: bytes) -> bytes:
    """An instruction whose argument is another."""
    code, argument = instruction[:1], instruction[1:]
    if not argument:
        return rng.choice(PIECES)
    if argument.endswith(b"\n"):
        return code + rng.choice(HOSTILE_TEXTS).encode(errors="replace").replace(b"\n", b"") + b"\n"
    if rng.random() < 0.5 and len(argument) in (1, 2, 4, 8):
        return code + rng.choice((b"\xff", b"\x7f", b"\x00", b"\x80")) * len(argument)
    at = rng.randrange(len(argument))
    return code + argument[:at] + rng.randbytes(1) + argument[at + 1 :]


def in_content(rng: Random, content: bytes) -> bytes | None:
    """What a seed's pickle holds, changed and pickled again; None where it is not one of a seed."""
    try:
        tree = pickle.loads(content)  # made by `seeds`
    except Exception:  # of torch, or changed before
        return None
    tree = changed(rng, tree, value=array_or_value)
    try:
        return pickle.dumps(tree, rng.randrange(6))
    except Exception:  # nests too deep
        return None


def array_or_value(rng: Random) -> Any:
    """An array, or another value."""
    kind = rng.randrange(4)
    if kind == 0:
        return array(rng)
    if kind == 1:
        return rng.choice((
            (200, 300), (), (1,), {1, 2}, frozenset({"a"}), b"x", bytearray(b"x"), 1j, np.int64(3),
            np.float16(0.5), np.str_("x"), np.bool_(True), slice(1), range(3), ...,
            np.datetime64("now"),
            float, np.ndarray, np.random.default_rng, bytes(3000), ({},), {(1, 2): 3}, {None: 0},
        ))  # fmt: skip
    return value(rng)


def array(rng: Random) -> np.ndarray:
    """An array of any type, shape and order."""
    shape = rng.choice(SHAPES)
    size = int(np.prod(shape))
    found = np.arange(size).astype(rng.choice(("f2", "f4", "f8"))).reshape(shape)
    if rng.random() < 0.4:
        with np.errstate(all="ignore"):
            if rng.random() < 0.3:
                found = np.zeros(shape, rng.choice(TYPES))
            else:
                found = found.astype(rng.choice(("f2", ">f8", "i8", "u2", "?", "U3", "O", "c16")))
    if found.dtype.kind == "f" and found.size and rng.random() < 0.4:
        flat = found.reshape(-1)
        with np.errstate(over="ignore"):
            flat[rng.randrange(flat.size)] = rng.choice((np.nan, np.inf, -np.inf, 1e300, -1e30, 0))
    kind = rng.randrange(6)
    if kind == 0:
        return np.asfortranarray(found)
    if kind == 1:
        return found[..., ::-1] if found.ndim else found
    if kind == 2:
        return np.ma.array(found, mask=rng.random() < 0.5)
    return found


def of_tensors(rng: Random, content: bytes) -> bytes | None:
    """What torch saved, changed and saved again; None where it did not."""
    try:
        tree = torch.load(io.BytesIO(content), weights_only=True)  # made by `seeds`
    except Exception:  # of numpy, or changed before
        return None
    try:
        file = io.BytesIO()
        torch.save(changed(rng, tree, value=tensor_or_value), file)
        return file.getvalue()
    except Exception:  # nests too deep, or torch cannot save it
        return None


def tensor_or_value(rng: Random) -> Any:
    """A tensor, or another value."""
    if rng.random() < 0.5:
        return value(rng)
    base = torch.arange(6.0)
    return rng.choice((
        base, base.view(2, 3), base[:0], base[1], base[:1].expand(1000, 1000),
        base.to(torch.complex64),
        base.bool(), base.to(torch.int8), base.double(), base.half(), base * float("nan"),
        torch.Size([3]),
        base.to(torch.bfloat16), base.view(3, 2).T, torch.ones(1, 1, 1, 1), torch.float16,
        torch.device("cpu"),
        torch.nn.Parameter(base), base[::2], struct, b"x", 1j,
    ))  # fmt: skip
