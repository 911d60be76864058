"""The exception that means "what you gave cannot be used", and how its sentences end."""

import difflib
from collections.abc import Sequence


class BadInput(ValueError):  # noqa: N818 - it names what is wrong with the input, as it is caught
    """Input that cannot be used.

    The message is one sentence for the person who gave it: it names the sample, field and value,
    and the remedy. Front doors print it on standard error and end with status 2.
    """


class NotFinite(BadInput):
    """A number of a training that is NaN or infinite: what follows from it means nothing."""


class UnfitModel(BadInput, TypeError):  # noqa: N818
    """A model of the user's own that breaks the protocol of models/backbone.py."""


def nearest(name: str, names: Sequence[str]) -> str:
    """End of a sentence: `did you mean ...?`, or all `names` where none is similar to `name`."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.75)
    last = name.rsplit(".", 1)[-1]
    near = near or [known for known in names if known.rsplit(".", 1)[-1] == last]
    near = near or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(names)}" if len(names) < 40 else "--help lists them all"
