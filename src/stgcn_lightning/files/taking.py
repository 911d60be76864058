"""What a pickle held, taken out of its holders (see `unpickling`), and counted.

Whoever reads the values afterwards may look at each as often as it is named: what is named again
is in proportion to the file, or the pickle is refused.
"""

import math
import os
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from stgcn_lightning.errors import BadInput, out_of_memory
from stgcn_lightning.files.instructions import CUT_OFF
from stgcn_lightning.files.kinds import refuse_text
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import (
    COPIES,
    FREE,
    GROWS,
    Built,
    NotPlain,
    PlainDict,
    said_by,
)

FEW = 16  # entries of a tuple, which may be named as often as one likes
BYTES = 16  # of an array that is named again, which count as much as an entry of a list
CONTAINERS = {list, tuple, dict, PlainDict}
SCALARS = {str, bytes, int, float, bool, type(None)}  # most values: nothing is in them to look for


def guarded(
    load: Callable[[], Any],
    path: AnyPath,
    contents: str,
    in_place: Collection[str] = (),
    size: int | None = None,
) -> Any:
    """What `load` returns, without holders; every error in it becomes a BadInput about `path`.

    Values of dicts under the keys `in_place` may stay in the file. What is named again must be in
    proportion to `size`, the bytes of the pickle; None: those of the file.
    """
    try:
        taking = _Taking(in_place, {}, [], [])
        found = _plain(load(), taking)
        size = os.path.getsize(path) if size is None else size
        if (more := _repeated(taking)) > FREE + COPIES * size:
            raise NotPlain(
                "a list or dict that holds itself: save it without"
                if math.isinf(more)
                else f"values that are named again and again, {more:.3g} in all, more than a file "
                "of its size can have: save each of them once"
            )
        return found
    except BadInput:
        raise
    except NotPlain as error:
        raise BadInput(f"{path} holds {error}; nothing in the file was executed") from error
    except Exception as error:  # damaged bytes can make the unpickler raise almost anything
        if out_of_memory(error):
            raise BadInput(
                f"there is too little memory for {path}: end other programs, or read it elsewhere"
            ) from error
        refuse_text(path, contents)
        detail = said_by(error)
        if detail == CUT_OFF:
            raise BadInput(f"{path} is truncated: copy or download it again") from error
        if detail == GROWS:
            raise BadInput(
                f"{path} holds the same numbers or text again and again, and {GROWS}: save each "
                "value once, tensors and arrays as copies of their own"
            ) from error
        raise BadInput(
            f"{path} is damaged, or not a pickle of the expected kind ({detail}): copy it again, "
            "from a source you trust"
        ) from error


class _Taking(NamedTuple):
    """What has been met while values are taken out of holders.

    Attributes:
        in_place: keys of dicts whose values may stay in the file.
        done: id of a container -> what became of it.
        again: containers, as they became, each time that they are met again; no short tuples.
        others: values of holders that are no containers, each time that they are met.
    """

    in_place: Collection[str]
    done: dict[int, Any]
    again: list[Any]
    others: list[Any]


def _plain(value: Any, taking: _Taking, key: object = None) -> Any:
    """`value` with every holder replaced by its value."""
    if isinstance(value, Built):
        value = value.placed() if key in taking.in_place else value.taken()
        if type(value) not in CONTAINERS:
            taking.others.append(value)
            return value
    elif type(value) not in CONTAINERS:
        return value
    done = taking.done
    found = done.get(id(value))
    if found is not None:
        if found is not value or len(found) > FEW:
            taking.again.append(found)
        return found
    if isinstance(value, list):
        done[id(value)] = items = []
        for item in value:
            items.append(item if type(item) in SCALARS else _plain(item, taking))
    elif isinstance(value, dict):
        done[id(value)] = table = {}
        for name, item in value.items():
            table[name] = item if type(item) in SCALARS else _plain(item, taking, name)
    elif SCALARS.issuperset(map(type, value)):  # sizes of pictures, one for all samples
        done[id(value)] = value
    else:
        done[id(value)] = tuple(
            [item if type(item) in SCALARS else _plain(item, taking) for item in value]
        )
    return done[id(value)]


def _repeated(taking: _Taking) -> float:
    """How much is in values that were met again; infinity where a container holds itself.

    Entries of containers, each of which somebody looks at, and a part of the bytes of arrays: who
    has rare samples many times in a file names their arrays again.
    """
    held: dict[int, float] = {}

    def holds(value: Any) -> float:
        found = held.get(id(value))
        if found is not None:
            return found
        if isinstance(value, list | tuple | dict):
            held[id(value)] = math.inf  # until it is known: it is met within itself
            found = float(len(value))
            for one in value.values() if isinstance(value, dict) else value:
                if type(one) not in SCALARS:
                    found += holds(one)
        elif isinstance(value, set | frozenset):
            found = float(len(value))
        else:
            size = getattr(value, "nbytes", None)  # of arrays and tensors; and of bytes and text
            size = len(value) if size is None and hasattr(value, "__len__") else size
            found = (size or 1) / BYTES
        held[id(value)] = found
        return found

    more = sum(map(holds, taking.again))
    if len({*map(id, taking.others)}) < len(taking.others):
        once = {id(one): one for one in taking.others}
        more += sum(map(holds, taking.others)) - sum(map(holds, once.values()))
    return more
