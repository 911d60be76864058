"""The instructions of a pickle, walked over before any of them is executed.

`walked` goes from instruction to instruction, of which it knows the lengths alone. What it gives to
the unpickler is a pickle of the same meaning, in which

- every length fits the bytes that are there, and every place in the pickle's memory (memo) is one
  that a file of this size can need: the unpickler would allocate what either says;
- dicts and sets are made by `unpickling.Unpickler`, which looks at their keys: a tuple of tuples
  that name each other takes years to hash;
- on demand long runs of bytes are left where they are, and their places stand for them.

These stand in a pickle as persistent ids: None for a dict, False for a set, a list and True or
False for either of what is in the list, and for a run (start, size, whether it is text). What a
pickle itself gives as an id becomes a tuple of one.
"""

import functools
import pickle
import re
import struct
from collections.abc import Callable
from pickletools import opcodes
from typing import IO

LONG = 256  # bytes from which a run stays in the file
BLOCK = 1 << 14  # bytes that are looked at together
SHORT = 40  # bytes of a text that is stepped over without looking at it
FREE_PLACES = 1 << 16  # places in its memory that a pickle may name, however small it is

STOP, FRAME, PUT, PUT_LINE = b".", b"\x95", b"r", b"p"
REWRITTEN = {
    b"}": b"NQ",  # an empty dict
    b"\x8f": b"\x89Q",  # an empty set
    b"d": b"l\x88\x86Q",  # a dict of what lies above a mark: first a list of it
    b"\x91": b"l\x89\x86Q",  # a frozen set of that
    b"Q": b"\x85Q",  # what the pickle gives as an id of its own
}
BYTES, TEXTS = b"B\x8e\x96", b"X\x8d"  # instructions with runs, and with what may be one
LINES = "".join(one.code for one in opcodes if one.arg and one.arg.n == -1).encode()
# instruction -> the bytes that say how long its argument is, and whether they have a sign
COUNTED = {
    ord(one.code): {-2: (1, False), -3: (4, True), -4: (4, False), -5: (8, False)}[one.arg.n]
    for one in opcodes
    if one.arg and one.arg.n < -1
}
# those that are not copied as they are, or not always
APART = {STOP, FRAME, PUT, PUT_LINE, *REWRITTEN}
# what follows text that stands for bytes: encode(text, "latin1")
ENCODED = re.compile(rb"(q.|r.{4})?(X\x06\0{3}latin1(q.|r.{4})?|h.|j.{4})\x86", re.DOTALL)
KNOWN = {one.code.encode("latin-1") for one in opcodes}
CUT_OFF = "pickle data was truncated"
END = (b"\x88\x87Q", b"\x89\x87Q")  # of a place: text or not, a tuple of three, an id


@functools.cache
def _steps(places: int) -> re.Pattern[bytes]:
    """Instructions one after the other that are copied as they are.

    Args:
        places: how many in its memory a pickle may name.
    """
    fixed: dict[int, bytes] = {}
    parts: list[bytes] = []
    for one in opcodes:
        code, size = one.code.encode("latin-1"), one.arg.n if one.arg else 0
        if code in APART:
            continue
        if size >= 0:
            fixed[size] = fixed.get(size, b"") + re.escape(code)
        elif size == -1:  # lines; a global name has two
            parts.append(re.escape(code) + rb"[^\n]*\n" * (2 if code in b"ci" else 1))
    parts = [b"[%s].{%d}" % (codes, size) for size, codes in fixed.items()] + parts
    for code, zeros in ((b"X", b"\0\0\0"), (b"\x8c", b""), (b"C", b"")):
        sizes = b"|".join(re.escape(bytes([n])) + zeros + b".{%d}" % n for n in range(SHORT))
        parts.append(code + b"(?:" + sizes + b")")
    parts.append(rb"r..%s\0" % _up_to((places >> 16) - 1))
    if places >> 24:
        parts.append(rb"r.{3}" + _up_to((places >> 24) - 1))
    parts.append(rb"p\d{1,%d}\n" % (len(str(places)) - 1))
    return re.compile(b"(?:" + b"|".join(parts) + b")*", re.DOTALL)


def _up_to(most: int) -> bytes:
    """A byte of at most this value, as a pattern."""
    return rb"[\x00-\x%02x]" % min(most, 255)


def walked(
    file: IO[bytes], *, in_place: bool = False, seen: Callable[[int], object] | None = None
) -> bytes:
    """The pickle that begins where `file` is, as it may be executed; `file` is then at its end.

    Args:
        file: which can seek.
        in_place: long runs of bytes are left in the file.
        seen: is told now and then how many bytes have been looked at.

    Raises:
        UnpicklingError: an instruction is none, is cut off, or asks for memory that nothing in the
            pickle can need.
    """
    start = file.tell()
    size = file.seek(0, 2)
    places = FREE_PLACES + (size - start >> 16 << 16)
    steps, short, block = _steps(places), bytearray(), _Block(file, seen)
    block.load(start)
    # text may begin as a pickle without this mark does
    ends = CUT_OFF if block.data[:1] == b"\x80" else "it ends within an instruction"
    while True:
        end = steps.match(block.data, block.at).end()  # pyright: ignore
        short += block.data[block.at : end]
        block.at, code = end, block.data[end : end + 1]
        if instead := REWRITTEN.get(code):
            short += instead
            block.at += 1
            continue
        here, head = block.begin + end, block.data[end : end + 9]
        complete = block.begin + len(block.data) >= size
        if len(head) < 9 and not complete:
            block.load(here)
        elif head and head[0] in COUNTED:
            width, signed = COUNTED[head[0]]
            length = int.from_bytes(head[1 : 1 + width], "little", signed=signed)
            first = here + 1 + width
            if not 0 <= length <= size - first:
                raise pickle.UnpicklingError(ends)
            run = in_place and length >= LONG and head[0] in BYTES
            text = in_place and length >= LONG and head[0] in TEXTS
            block.jump(first + length)
            if run or (text and ENCODED.match(block.data, block.at)):
                short += struct.pack("<2sq2sq3s", b"\x8a\x08", first, b"\x8a\x08", length, END[run])
            else:
                file.seek(here)
                short += file.read(first + length - here)
        elif code == STOP:
            file.seek(here + 1)
            return bytes(short + STOP)
        elif code == FRAME and here + 9 + int.from_bytes(head[1:], "little") <= size:
            block.at += 9  # how far to read ahead, of which nothing else depends
        elif place := _place(block.data[block.at : block.at + SHORT], places):
            short += place
            block.at += len(place)
        elif head and head[0] in LINES and not complete:
            block.load(here, 2 * len(block.data))
        else:
            raise pickle.UnpicklingError(_wrong(code) or ends)


def _place(data: bytes, places: int) -> bytes:
    """The instruction that names a place in the memory, if it is one of at most `places`."""
    if found := re.match(rb"r(.{4})", data, re.DOTALL):
        return found[0] if int.from_bytes(found[1], "little") <= places else b""
    if found := re.match(rb"p(\d{1,20})\n", data):
        return found[0] if int(found[1]) <= places else b""
    return b""


def _wrong(code: bytes) -> str:
    """Why the pickle does not go on with an instruction; empty: it ends within that."""
    if code in (PUT, PUT_LINE):
        return "it asks for more memory than a file of its size can need"
    return f"no instruction of pickles, {code!r}" if code and code not in KNOWN else ""


class _Block:
    """Some bytes of a file.

    Attributes:
        data: the bytes.
        begin: where in the file they begin.
        at: where within them the next instruction is.
    """

    def __init__(self, file: IO[bytes], seen: Callable[[int], object] | None) -> None:
        self.file, self.seen = file, seen
        self.data, self.begin, self.at = b"", 0, 0

    def load(self, begin: int, size: int | None = None) -> None:
        """Read on from `begin`, `BLOCK` bytes if it is not said how many."""
        self.file.seek(begin)
        self.data, self.begin, self.at = self.file.read(size or BLOCK), begin, 0
        if self.seen:
            self.seen(begin)

    def jump(self, to: int) -> None:
        """Go on at `to`, of which at least the next instructions are there."""
        self.at = to - self.begin
        if self.at + SHORT > len(self.data):
            self.load(to)
