"""The exception that means "what you gave cannot be used", and what its sentences are made of."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

LETTERS = 60  # of a value in a sentence
ENTRIES, DEPTH = 4, 3  # of a container in it
MOST_DIGITS = 40  # of a whole number; identities of 128 bits have 39
FIRST, LAST = 900, 300  # letters of a sentence that are kept of one that is longer
# what errors of other classes say where memory is refused: PyTorch's on a CPU, CUDA's, cuBLAS's
REFUSED = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
BREAKS = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


class BadInput(ValueError):  # noqa: N818 - it names what is wrong with the input, as it is caught
    """Input that cannot be used.

    The message is one sentence for the person who gave it: it names the sample, field and value,
    and the remedy. Front doors print it on standard error and end with status 2. Whatever names it
    quotes of a file, it is one line, and of a bounded length.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))


class NotFinite(BadInput):
    """A number of a training that is NaN or infinite: what follows from it means nothing."""


class UnfitModel(BadInput, TypeError):  # noqa: N818
    """A model of the user's own that breaks the protocol of models/backbone.py."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused: by a GPU, to PyTorch on a CPU, or to numpy."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # PyTorch's
        or (isinstance(error, RuntimeError) and any(text in str(error) for text in REFUSED))
    )


def one_line(text: str) -> str:
    r"""Text whose breaks of lines are written as escapes, without the middle of a long one.

    Examples:
        >>> one_line("class a\nb")
        'class a\\nb'
        >>> len(one_line("class " + "a" * 5000 + " is there twice: rename one"))
        1205
    """
    text = BREAKS.sub(lambda found: repr(found[0])[1:-1], text)
    return text if len(text) <= FIRST + LAST else f"{text[:FIRST]} ... {text[-LAST:]}"


def nearest(name: str, names: Sequence[str]) -> str:
    """End of a sentence: `did you mean ...?`, or all `names` where none is similar to `name`."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.75)
    last = name.rsplit(".", 1)[-1]
    near = near or [known for known in names if known.rsplit(".", 1)[-1] == last]
    near = near or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(names)}" if len(names) < 40 else "--help lists them all"


def brief(value: Any) -> str:
    """A value as Python writes it, cut off after some letters.

    Of a container a few entries are looked at: one whose entries name each other may hold more than
    any computer could write.

    Examples:
        >>> brief({"label": [0, 1, 2, 3, 4, 5]})
        "{'label': [0, 1, 2, 3, ...]}"
        >>> brief(10**5000)
        'a number of 16610 bits'
    """
    text = " ".join(_written(value, DEPTH).split())
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}..."


def _written(value: Any, depth: int) -> str:
    if isinstance(value, str | bytes):
        return repr(value[: LETTERS + 1])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MOST_DIGITS:
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float | complex):
        return repr(value)
    if isinstance(value, Mapping | Sequence | set | frozenset):
        return _container(value, depth)
    shape = getattr(value, "shape", None)  # of arrays and tensors
    if isinstance(shape, tuple) and hasattr(value, "dtype"):  # a dtype has a shape, too
        return f"an array of {value.dtype} and shape {brief(tuple(shape))}"
    return f"a {type(value).__name__}"


def _container(value: Any, depth: int) -> str:
    begin, end = {tuple: "()", dict: "{}", set: "{}", frozenset: "{}"}.get(type(value), "[]")
    if not depth:
        return f"{begin}...{end}"
    parts: list[str] = []
    for key in value:
        if len(parts) == ENTRIES:
            parts.append("...")
            break
        written = _written(key, depth - 1)
        if isinstance(value, Mapping):
            written += f": {_written(value[key], depth - 1)}"
        parts.append(written)
    alone = "," if isinstance(value, tuple) and len(parts) == 1 else ""
    return f"{begin}{', '.join(parts)}{alone}{end}"
