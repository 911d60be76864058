"""The one exception that means "what you gave cannot be used"."""


class BadInput(ValueError):  # noqa: N818 - it names what is wrong with the input, as it is caught
    """Input that cannot be used.

    The message is one sentence for the person who gave it: it names the sample, field and value,
    and the remedy. Front doors print it on standard error and end with status 2.
    """
