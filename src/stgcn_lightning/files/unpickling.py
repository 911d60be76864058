"""Reading pickles without executing them: what the readers of this folder share.

A pickle is a program: loading one calls whatever it names. The readers hand a pickle a closed table
of names, and every name leads to code of this folder, never to the library that it speaks of:

- `pickles.read_pickle` (annotations, scores of other projects): numpy arrays and scalars of plain
  numbers and text, tensors as arrays, plain containers, paths as text.
- `archives.read_checkpoint` (torch files of anybody): tensors, rebuilt here; objects of the
  libraries that write checkpoints become `archives.Inert`; no name is ever looked up in a module.

A pickle can also restore the state of the objects it has made, and numpy's and torch's own classes
accept such a state without enough checks. Arrays and tensors therefore wait in a holder (`Built`),
which refuses states, until `guarded` has read the whole pickle and takes them out.

A pickle of n bytes may name one of its own values n times. What would copy a value therefore calls
`Unpickler.spend` first, so that no file makes us hold much more than its own size.
"""

import gc
import pickle
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from types import MethodType
from typing import IO, Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.kinds import refuse_text
from stgcn_lightning.files.reading import AnyPath

FREE = 1 << 16  # bytes that a pickle may have copied, however small it is
COPIES = 4  # and so many times its own size: text becomes bytes, bytes an array, an array float32


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
        return self.value(*args)


class NotPlain(Exception):  # noqa: N818 - becomes a BadInput as soon as the file has a name
    """A value that is not read, and what to do about it: `an array of ...: save ...`."""


class PlainDict(dict):
    """What a pickle gets for every kind of dict: `OrderedDict`, `defaultdict`, `EasyDict`, ...

    It takes the items over that it is made of, so that a pickle cannot have them copied again and
    again, and ignores attributes, such as the `_metadata` of torch's state dicts.
    """

    def __init__(self, *parts: Any) -> None:
        for part in parts:
            if isinstance(part, dict | list):
                self.update(part)
                part.clear()
            elif part is not None and not isinstance(part, type):  # a defaultdict's factory
                raise TypeError(f"a dict made of a {type(part).__name__}")

    def __setstate__(self, state: object) -> None: ...


class Unpickler(pickle.Unpickler):
    """Looks names up in the table `admitted` and refuses all others.

    `admitted` holds methods of the unpickler, and classes whose attributes a pickle cannot set, so
    that no file can change anything beyond the value that is read from it.

    Args:
        file: where the pickle begins.
        path: of the file, for sentences.
        contents: what the pickle should be, for sentences.
    """

    def __init__(self, file: IO[bytes], path: AnyPath, contents: str) -> None:
        super().__init__(file, encoding="latin-1")  # bytes and text of Python 2 alike
        self.path = path
        self.contents = contents
        here = file.tell()
        self.left = FREE + COPIES * file.seek(0, 2)
        file.seek(here)
        self.admitted: dict[str, Any] = {
            "collections.OrderedDict": PlainDict,
            "_codecs.encode": self.encode,
        }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What a pickle gets for a name that it asks for."""
        # The names of Python 2, which protocols 0 to 2 still write.
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module_name, module_name)
        name = f"{module}.{global_name}"
        found = self.admitted[name] if name in self.admitted else self.other(name)
        return _Call(found) if isinstance(found, MethodType) else found

    def other(self, name: str) -> Any:
        """What a pickle gets for a name that is not in `admitted`: here, a refusal."""
        refuse_text(self.path, self.contents)  # a table may begin as a pickle does
        raise BadInput(
            f"{self.path} asks for {shown(name)}, which {self.contents} never contain: "
            "the file was refused and nothing in it was executed; get it from a source you trust"
        )

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes, as protocols 0 to 2 spell them."""
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
        self.spend(len(text))
        return text.encode("latin-1")

    def spend(self, size: int) -> None:
        """Count `size` bytes, or entries, that are about to be copied.

        Raises:
            UnpicklingError: the file has had more copied than it could itself hold.
        """
        self.left -= size
        if self.left < 0:
            raise pickle.UnpicklingError("it would grow beyond its own size")


def shown(name: str) -> str:
    """A name in a file, as it may be printed."""
    return repr(name[:100])[1:-1]


def load_pickle(unpickler: Unpickler, in_place: Collection[str] = ()) -> Any:
    """The value of a pickle, or BadInput that names its file."""
    return guarded(unpickler.load, unpickler.path, unpickler.contents, in_place)


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


def guarded(
    load: Callable[[], Any], path: AnyPath, contents: str, in_place: Collection[str] = ()
) -> Any:
    """What `load` returns, without holders; every error in it becomes a BadInput about `path`.

    Values of dicts under the keys `in_place` may stay in the file.
    """
    try:
        return _plain(load(), {}, in_place)
    except BadInput:
        raise
    except NotPlain as error:
        raise BadInput(f"{path} holds {error}; nothing in the file was executed") from error
    except Exception as error:  # damaged bytes can make the unpickler raise almost anything
        refuse_text(path, contents)
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"{path} is truncated or not a pickle of the expected kind ({detail}); copy it again"
        ) from error


def _plain(value: Any, done: dict[int, Any], in_place: Collection[str], key: object = None) -> Any:
    """`value` with every holder replaced by its value; `done` has the containers met so far."""
    if isinstance(value, Built):
        value = value.placed() if key in in_place else value.taken()
    if type(value) not in (list, tuple, dict, PlainDict):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, list):
        done[id(value)] = items = []
        items.extend(_plain(item, done, in_place) for item in value)
    elif isinstance(value, dict):
        done[id(value)] = table = {}
        table.update((key, _plain(item, done, in_place, key)) for key, item in value.items())
    else:
        done[id(value)] = tuple(_plain(item, done, in_place) for item in value)
    return done[id(value)]
