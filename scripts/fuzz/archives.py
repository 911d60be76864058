"""Changes to zip files and to numpy's arrays, with a writer that can be made to lie."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

STORED, DEFLATED = 0, 8
LARGE = 1 << 29  # bytes of zeros
COUNTS = (0, 1, 2, 65535, 2**31 - 1, 2**32 - 1)
NAMES = (
    "", "/", "../x.npy", "/etc/x.npy", "a.npy", "scores.npy", "meta.npy", "keypoint.npy",
    "data.pkl",
    "archive/data.pkl", "archive/data/0", "archive/version", "archive/byteorder",
    "archive/constants.pkl",
    "x/" * 200, "\xff.npy", "a\0b.npy",
)  # fmt: skip
DTYPES = (
    "<f4", "<f2", ">f8", "|b1", "|u1", "<u8", "<i8", "<c16", "<U0", "<U1", "<U999999", "|S0",
    "|S3", "|V0",
    "|O", "<M8[s]", "<f16", "<f3", "f4,f4", "<b1",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(1,)", "(2,)", "(2, 2)", "(1, 3, 17, 2)", "(0, 9223372036854775807)",
    "(4294967296,)",
    "(9223372036854775807,)", "(-1,)", "(1e3,)", "(2**9,)", "(1,) * 9", "(" + "1, " * 70 + ")",
    "(True,)",
    "(999999999999999999999,)", "(2L,)", "[2]", "2", "None",
)  # fmt: skip
EVALS = ("__import__('os').system('id')", "[" * 3000, "'" * 3000, "()" * 3000, "1" * 9000, "{}", "")


@dataclass(frozen=True)
class Member:
    """A file in an archive, as it will be written.

    Attributes:
        name: of it.
        data: packed.
        method: how.
        size: that it says to have, unpacked.
        crc: of its content.
        flags: of its header.
    """

    name: str
    data: bytes
    method: int
    size: int
    crc: int
    flags: int = 0


def member(name: str, content: bytes, method: int = STORED) -> Member:
    """A file that does not lie."""
    data = content
    if method == DEFLATED:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        data = packer.compress(content) + packer.flush()
    return Member(name, data, method, len(content), zlib.crc32(content))


def zipped(members: list[Member], comment: bytes = b"") -> bytes:
    """A zip file of these members."""
    made, index = bytearray(), bytearray()
    for one in members:
        name = one.name.encode(errors="replace")[:60_000]
        head = struct.pack(
            "<5H3I2H", 20, one.flags, one.method, 0, 33, one.crc & 0xFFFFFFFF,
            len(one.data) & 0xFFFFFFFF, one.size & 0xFFFFFFFF, len(name), 0,
        )  # fmt: skip
        index += b"PK\x01\x02" + struct.pack("<H", 20) + head
        index += struct.pack("<3H2I", 0, 0, 0, 0, len(made)) + name
        made += b"PK\x03\x04" + head + name + one.data
    end = struct.pack(
        "<4H2IH", 0, 0, len(members), len(members), len(index), len(made), len(comment)
    )
    return bytes(made + index) + b"PK\x05\x06" + end + comment


@lru_cache(maxsize=64)
def contents(content: bytes) -> tuple[tuple[str, bytes, int], ...] | None:
    """Name, content and packing of the files in an archive; None where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return tuple(
                (one.filename, file.read(one), one.compress_type) for one in file.infolist()
            )
    except Exception:  # a second change of the same archive
        return None


@lru_cache(maxsize=1)
def zeros() -> bytes:
    """A megabyte of zeros, deflated, without an end: it may be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)


def bomb(name: str, head: bytes) -> Member:
    """A file that begins with `head` and is zeros, of which the archive keeps little."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(1, zlib.DEFLATED, -15).flush()
    # its checksum is wrong, which is seen when all of it was unpacked
    return Member(name, begin + zeros() * (LARGE >> 20) + end, DEFLATED, len(head) + LARGE, 0)


def header(
    descr: str, shape: str, order: str = "False", version: tuple[int, int] = (1, 0)
) -> bytes:
    """The head of an array, of anything."""
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(-(len(text) + 11) % 64 + len(text)) + "\n"
    form = "<H" if version[0] == 1 else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(form, len(text) & 0xFFFF) + text.encode()


def in_array(rng: Random, content: bytes) -> bytes:
    """An array of numpy with another head, or another length."""
    if len(content) < 12:
        return content
    length = struct.unpack("<H", content[8:10])[0]
    head, entries = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    kind = rng.randrange(8)
    if kind < 2:
        head = re.sub(r"'descr': *'[^']*'", lambda _: f"'descr': '{rng.choice(DTYPES)}'", head)
    elif kind < 4:
        head = re.sub(r"'shape': *\([^)]*\)", lambda _: f"'shape': {rng.choice(SHAPES)}", head)
    elif kind == 4:
        head = head.replace("False", "True") if rng.random() < 0.5 else rng.choice(EVALS)
    elif kind == 5:
        entries = entries[: rng.randrange(len(entries) + 1)] * rng.choice((1, 1, 2))
    elif kind == 6:
        at = rng.randrange(len(entries) + 1)
        numbers = (b"\xff" * 8, b"\x00\x7e", b"\x00\x00\xc0\x7f", b"\0" * 16, b"\xff\xff\xff\x7f")
        entries = entries[:at] + rng.choice(numbers) + entries[at:]
    else:
        at = rng.randrange(len(head) + 1)
        head = (
            head[:at]
            + rng.choice(("'", "{", "}", ",", "0", "L", "\n", "\xff", "("))
            + head[at + 1 :]
        )
    said = len(head) if rng.random() < 0.9 else rng.choice((0, 1, 65535, len(head) + 1))
    version = (
        content[6:8]
        if rng.random() < 0.95
        else rng.choice((b"\2\0", b"\3\0", b"\xff\xff", b"\0\0"))
    )
    form = "<H" if version[0] < 2 else "<I"
    return (
        b"\x93NUMPY"
        + version
        + struct.pack(form, said & 0xFFFF)
        + head.encode("latin-1", "replace")
        + entries
    )


def in_archive(rng: Random, content: bytes, change: Callable[[Random, str, bytes], bytes]) -> bytes:
    """An archive of which files are changed, renamed, repeated, packed, or not what they say.

    Args:
        rng: where chance comes from.
        content: of the archive.
        change: a file in it by itself, of its name and content.
    """
    found = contents(content)
    if not found:
        return content[: rng.randrange(len(content) + 1)]
    methods = [method if method in (STORED, DEFLATED) else STORED for *_, method in found]
    chosen = rng.randrange(len(found))
    if rng.random() < 0.3:  # not one of a hundred tensors
        chosen = next((i for i, one in enumerate(found) if one[0].endswith(".pkl")), chosen)
    made = [
        member(name, inner, method) for (name, inner, _), method in zip(found, methods, strict=True)
    ]
    if (kind := rng.random()) < 0.65:
        name, inner, _ = found[chosen]
        made[chosen] = member(name, change(rng, name, inner), methods[chosen])
    elif kind < 0.70:
        made[chosen] = replace(made[chosen], name=rng.choice((*NAMES, found[0][0])))
    elif kind < 0.74:
        made.insert(rng.randrange(len(made) + 1), made[chosen])
    elif kind < 0.78:
        del made[chosen]
    elif kind < 0.82:
        packing = rng.choice((STORED, DEFLATED))
        made = [member(name, inner, packing) for name, inner, _ in found]
    elif kind < 0.84:
        name, inner, _ = found[chosen]
        shape = re.search(rb"'shape': \(([^)]*)\)", inner[:200])
        joined = shape[1].decode().rstrip(",").split(",")[1:] if shape else ["", "2"]
        head = header("<f4", f"({LARGE // 4}, {', '.join(one.strip() for one in joined or ['1'])})")
        made[chosen] = bomb(name, inner if rng.random() < 0.3 else head)
    else:
        field = rng.choice(("size", "crc", "method", "flags", "data"))
        lie = rng.choice((*COUNTS, 1, 12, 14, 93, 99, 8))
        value = b"" if field == "data" else lie if field in ("size", "crc") else lie & 0xFFFF
        made[chosen] = replace(made[chosen], **{field: value})
    comment = b"x" * 70 if rng.random() < 0.02 else b""
    result = zipped(made, comment)
    if rng.random() < 0.05:
        result = rng.choice((b"\x80\x02K\x01.", b"GIF89a", result)) + result
    if rng.random() < 0.1:  # the index at the end
        at = rng.randrange(max(0, len(result) - 200), len(result) - 3)
        result = result[:at] + struct.pack("<I", rng.choice(COUNTS)) + result[at + 4 :]
    return result
