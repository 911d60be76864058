"""Reading pickles without executing them: what the readers of this folder share.

A pickle is a program: loading one calls whatever it names. The readers hand a pickle a closed table
of names, and every name leads to code of this folder, never to the library that it speaks of:

- `pickles.read_pickle` (annotations, scores of other projects): numpy arrays and scalars of plain
  numbers and text, tensors as arrays, plain containers, paths as text.
- `archives.read_checkpoint` (torch files of anybody): tensors, rebuilt here; objects of the
  libraries that write checkpoints become `archives.Inert`; no name is ever looked up in a module.

A pickle can also restore the state of the objects it has made, and numpy's and torch's own classes
accept such a state without enough checks. Arrays and tensors therefore wait in a holder (`Built`),
which refuses states, until `taking.guarded` has read the whole pickle and takes them out.

A pickle of n bytes may name one of its own values n times. What would copy a value therefore calls
`Budget.spend` first, so that no file makes us hold much more than its own size, or work for much
longer than reading takes; and what reads the values afterwards may look at each as often as it is
named, so what is named again is counted in the end. For the same reason dicts and sets take plain
keys alone, names and numbers: the hash of a tuple is computed each time from all that it holds.
What the instructions themselves could ask for is bounded before they are executed (see
`instructions`).
"""

import gc
import io
import pickle
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import MethodType
from typing import IO, Any

import numpy as np

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.instructions import walked
from stgcn_lightning.files.kinds import refuse_text
from stgcn_lightning.files.reading import AnyPath

FREE = 1 << 16  # bytes that a pickle may have copied, however small it is
COPIES = 4  # and so many times its own size: text becomes bytes, bytes an array, an array float32
GROWS = "it would grow beyond its own size"
MOST_ARGUMENTS = 100  # of a call, which copies them
MOST_MOVES = 8  # of a dict's items into another one
MOST_AXES = 64  # of an array or tensor
LONGEST_NAME = 500  # letters of a global's name
KEYS = (str, bytes, int, float, np.integer, np.floating, np.bool_, type, type(None))


class Built:
    """Holds a value made for a pickle, which cannot change it; `guarded` takes it out later."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment] - a key is not taken out

    def __init__(self, value: Any) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a finished value is given a state")

    def taken(self) -> Any:
        """The value."""
        return self.value

    def placed(self) -> Any:
        """The same, or where in the file it is."""
        return self.taken()


class _Call(Built):
    """A method that a pickle may call, and nothing else."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        refuse_many(args)
        return self.value(*args)


def refuse_many(args: tuple[Any, ...]) -> None:
    """Refuse a call with more arguments than any pickle has.

    Raises:
        UnpicklingError: it has more than `MOST_ARGUMENTS`.
    """
    if len(args) > MOST_ARGUMENTS:
        raise pickle.UnpicklingError(f"a call with {len(args)} arguments")


def is_text(content: Any, dtype: np.dtype[Any]) -> bool:
    """Whether bytes of such a type, if it is one of text, are characters: numpy does not ask."""
    if dtype.kind != "U" or not len(content):
        return True
    return bool((np.frombuffer(content, f"{dtype.byteorder}u4") <= sys.maxunicode).all())


class Budget:
    """What the reading of a file may copy.

    Args:
        size: bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self.left = FREE + COPIES * size

    def spend(self, size: int) -> None:
        """Count `size` bytes, or entries, that are about to be copied.

        Raises:
            UnpicklingError: the file has had more copied than it could itself hold.
        """
        self.left -= size
        if self.left < 0:
            raise pickle.UnpicklingError(GROWS)


class NotPlain(Exception):  # noqa: N818 - becomes a BadInput as soon as the file has a name
    """A value that is not read, and what to do about it: `an array of ...: save ...`."""


def plain_key(key: Any) -> Any:
    """A key of a dict, or an entry of a set, if its hash is that of a name or a number.

    Raises:
        NotPlain: it is neither a name nor a number.
        UnpicklingError: it is a number of too many digits.
    """
    if not isinstance(key, KEYS):
        kind = type(key).__name__
        raise NotPlain(f"a dict or set with a {kind} as a key, where names and numbers are read")
    if isinstance(key, int) and not -(1 << 64) < key < 1 << 64:  # its hash takes time
        raise pickle.UnpicklingError("a key of many digits")
    return key


class PlainDict(dict):
    """What a pickle gets for every kind of dict: `OrderedDict`, `defaultdict`, `EasyDict`, ...

    It takes the items over that it is made of, so that a pickle cannot have them copied again and
    again, and ignores attributes, such as the `_metadata` of torch's state dicts.

    Raises:
        NotPlain: a key is neither a name nor a number.
        UnpicklingError: it is made of too many parts, or its items were moved too often.
        TypeError: it is made of something else than a dict or a list of pairs.
    """

    moves = 0  # of what it holds, from dict to dict

    def __init__(self, *parts: Any) -> None:
        refuse_many(parts)
        for part in parts:
            if isinstance(part, PlainDict):
                self.moves = part.moves + 1
                if self.moves > MOST_MOVES:
                    raise pickle.UnpicklingError("a dict made of a dict again and again")
                self.update(part)
                part.clear()
            elif isinstance(part, list):
                for key, value in part:
                    self[key] = value
                part.clear()
            elif part is not None and not isinstance(part, type):  # a defaultdict's factory
                raise TypeError(f"a dict made of a {type(part).__name__}")

    def __setitem__(self, key: Any, value: Any) -> None:
        # most are names, which need no call
        dict.__setitem__(self, key if type(key) is str else plain_key(key), value)

    def __setstate__(self, state: object) -> None: ...


class _Set(Built):
    """A set, which a pickle fills."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(set())

    def add(self, entry: Any) -> None:
        self.value.add(plain_key(entry))


class Unpickler(pickle.Unpickler):
    """Looks names up in the table `admitted` and refuses all others.

    `admitted` holds methods of the unpickler, and classes whose attributes a pickle cannot set, so
    that no file can change anything beyond the value that is read from it.

    Args:
        file: where the pickle begins; it is then where the pickle ends.
        path: of the file, for sentences.
        contents: what the pickle should be, for sentences.
        in_place: long runs of bytes stay in the file.
        seen: is told now and then how many bytes of the file have been looked at.
        budget: of the file that the pickle is in; None: it is the file.

    Raises:
        UnpicklingError: it is damaged.
    """

    def __init__(
        self,
        file: IO[bytes],
        path: AnyPath,
        contents: str,
        *,
        in_place: bool = False,
        seen: Callable[[int], object] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.path, self.contents, self.file = path, contents, file
        here = file.tell()
        self.budget = budget or Budget(file.seek(0, 2) - here)
        file.seek(here)
        # bytes and text of Python 2 alike
        super().__init__(io.BytesIO(walked(file, in_place=in_place, seen=seen)), encoding="latin-1")
        self.spend = self.budget.spend
        self.calls: list[_Call] = []
        self.admitted: dict[str, Any] = {
            "collections.OrderedDict": PlainDict,
            "_codecs.encode": self.encode,
            "builtins.set": self.filled_set,
            "builtins.frozenset": self.filled_set,
            "builtins.complex": self.complex,
        }

    def load(self) -> Any:
        """The value.

        Methods that are left on the stack let go of the unpickler: Python's collector does not see
        a circle through there.
        """
        try:
            return super().load()
        finally:
            for call in self.calls:
                call.value = None

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What a pickle gets for a name that it asks for.

        Raises:
            UnpicklingError: the name is longer than that of any module.
            BadInput: the name is not admitted.
        """
        # The names of Python 2, which protocols 0 to 2 still write.
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module_name, module_name)
        if len(module) + len(global_name) > LONGEST_NAME:
            raise pickle.UnpicklingError("a global of a name that no module has")
        name = f"{module}.{global_name}"
        found = self.admitted[name] if name in self.admitted else self.other(name)
        if not isinstance(found, MethodType):
            return found
        self.calls.append(call := _Call(found))
        return call

    def other(self, name: str) -> Any:
        """What a pickle gets for a name that is not in `admitted`: here, a refusal.

        Raises:
            BadInput: always; it says that the file is a text, if it is one, else the name.
        """
        refuse_text(self.path, self.contents)  # a table may begin as a pickle does
        raise BadInput(
            f"{self.path} asks for {shown(name)}, which {self.contents} never contain: "
            "the file was refused and nothing in it was executed; get it from a source you trust"
        )

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes, as protocols 0 to 2 spell them.

        Raises:
            UnpicklingError: the encoding is not Latin-1, or the budget is spent.
        """
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in the encoding {brief(encoding)}")
        self.spend(len(text))
        return text.encode("latin-1")

    def filled_set(self, entries: Any = ()) -> Built:
        """A set of the entries of a list, as protocols 0 to 3 make one.

        Raises:
            UnpicklingError: the entries are no list, or the budget is spent.
            NotPlain: an entry is neither a name nor a number.
        """
        if not isinstance(entries, list | tuple):
            raise pickle.UnpicklingError("a set that is made of no list")
        self.spend(len(entries))
        made = _Set()
        for entry in entries:
            made.add(entry)
        return made

    def complex(self, real: Any, imaginary: Any) -> complex:
        """A complex number, of two others.

        Raises:
            UnpicklingError: one of them is no float.
        """
        if not isinstance(real, float) or not isinstance(imaginary, float):
            raise pickle.UnpicklingError("a complex number that is none")
        return complex(real, imaginary)

    def persistent_load(self, pid: Any) -> Any:
        """A dict, a set, or what the pickle itself refers to; see `instructions`."""
        if pid is None:  # of most samples one
            return PlainDict.__new__(PlainDict)
        if pid is False:
            return _Set()
        if isinstance(pid, str):  # in a line, as protocol 0 writes it
            return self.referred(pid)
        if len(pid) == 2:
            entries, pairs = pid
            return (
                PlainDict([*zip(entries[::2], entries[1::2], strict=True)])
                if pairs
                else self.filled_set(entries)
            )
        return self.referred(*pid)

    def referred(self, pid: Any) -> Any:
        """What the pickle refers to outside itself: here, a refusal.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError("it refers to something that is not in it")


def shown(name: str, letters: int = 100) -> str:
    """A name in a file, as it may be printed."""
    return repr(name[:letters])[1:-1]


@contextmanager
def not_collecting() -> Generator[None]:
    """Within, Python does not look for circles of references, as it would often among so many."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def said_by(error: Exception) -> str:
    """What an error says, in one line; of a value in it, which may be a file's, nothing."""
    if error.args and isinstance(error.args[0], str):
        return shown(" ".join(error.args[0][:1000].split()), 200) or type(error).__name__
    return type(error).__name__
