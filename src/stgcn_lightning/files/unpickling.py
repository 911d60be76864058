"""Reading pickles without executing them: what the readers of this folder share.

A pickle is a program: loading one calls whatever it names. The readers hand a pickle a closed table
of names, and every name leads to code of this folder, never to the library that it speaks of:

- `pickles.read_pickle` (annotations): numpy arrays and scalars of plain numbers and text, plain
  containers.
- `dumps.read_test_dump` (MMAction2's ``--dump``): tensors, rebuilt here and returned as numpy
  arrays.
- `archives.read_checkpoint` (torch zip files of anybody): tensors, rebuilt here; objects of the
  libraries that write checkpoints become `archives.Inert`; no name is ever looked up in a module.

A pickle can also restore the state of the objects it has made, and numpy's and torch's own classes
accept such a state without enough checks. Arrays and tensors therefore wait in a holder (`Built`),
which refuses states, until `guarded` has read the whole pickle and takes them out.
"""

import pickle
from collections.abc import Callable
from types import MethodType
from typing import IO, Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath


class Built:
    """Holds a value made for a pickle, which cannot change it; `guarded` takes it out later."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment] - a key is not taken out

    def __init__(self, value: Any) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a finished value is given a state")


class _Call(Built):
    """A method that a pickle may call, and nothing else."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        return self.value(*args)


class NotPlain(Exception):  # noqa: N818 - becomes a BadInput as soon as the file has a name
    """A value that is neither number nor text, described."""


class PlainDict(dict):
    """A dict that a pickle may give attributes, as torch does with a state dict's `_metadata`."""

    def __setstate__(self, state: object) -> None: ...


class Unpickler(pickle.Unpickler):
    """Looks names up in the table `admitted` and refuses all others.

    `admitted` holds methods of the unpickler, and classes whose attributes a pickle cannot set, so
    that no file can change anything beyond the value that is read from it.
    """

    contents = "annotations"

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file)
        self.path = path
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
        shown = repr(name[:100])[1:-1]
        raise BadInput(
            f"{self.path} asks for {shown}, which {self.contents} never contain: "
            "the file was refused and nothing in it was executed; get it from a source you trust"
        )

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes, as protocols 0 to 2 spell them."""
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin-1")


def load_pickle(unpickler: Unpickler) -> Any:
    """The value of a pickle, or BadInput that names its file."""
    return guarded(unpickler.load, unpickler.path)


def guarded(load: Callable[[], Any], path: AnyPath) -> Any:
    """What `load` returns, without holders; every error in it becomes a BadInput about `path`."""
    try:
        return _plain(load(), {})
    except BadInput:
        raise
    except NotPlain as error:
        raise BadInput(
            f"{path} holds {error}, and only arrays of numbers or text are read: the file was "
            "refused and nothing in it was executed; save it again with arrays of numbers"
        ) from error
    except Exception as error:  # damaged bytes can make the unpickler raise almost anything
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"{path} is truncated or not a pickle of the expected kind ({detail}); copy it again"
        ) from error


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """`value` with every holder replaced by its value; `done` has the containers met so far."""
    if isinstance(value, Built):
        return value.value
    if type(value) not in (list, tuple, dict, PlainDict):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, list):
        done[id(value)] = items = []
        items.extend(_plain(item, done) for item in value)
    elif isinstance(value, dict):
        done[id(value)] = table = {}
        table.update((key, _plain(item, done)) for key, item in value.items())
    else:
        done[id(value)] = tuple(_plain(item, done) for item in value)
    return done[id(value)]
