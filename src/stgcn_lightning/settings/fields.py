"""How a field of the settings states its meaning, unit, range and choices: once.

A field is declared with one of the functions below, and `read` makes a dataclass of such fields
from plain containers. What a field does not allow is refused with a sentence that names the key as
the command line has it. The same statements make the documentation of the keys (`describe`).
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.settings.frozen import frozen
from stgcn_lightning.terminal import shown_value

S = TypeVar("S")
STATED = "stated"  # where a dataclass field keeps its `Stated`
UNLIMITED = 1e30  # a greatest number that is not worth a word


@dataclass(frozen=True)
class Stated:
    """What a field states about itself.

    Args:
        meaning: one phrase for the person who sets it.
        allowed: the values that it takes, in words.
        take: (key, value) -> the value as it is kept; raises BadInput.
        unit: of a number.
        null: what null means; None where null is refused.
        key: the key's name in the configuration, where it is not the field's.
        group: dataclass of the fields below this key.
        rest: the field holds all keys of its group that no other field names.
        known: what some of these keys state.
    """

    meaning: str
    allowed: str
    take: Callable[[str, Any], Any]
    unit: str = ""
    null: str | None = None
    key: str = ""
    group: type | None = None
    rest: bool = False
    known: Mapping[str, "Stated"] | None = None


class Row(NamedTuple):
    """One key in the documentation."""

    key: str
    meaning: str
    unit: str
    allowed: str
    default: str


def _field(stated: Stated) -> Any:
    return dataclasses.field(metadata={STATED: stated})


def whole(meaning: str, least: int, most: int, *, unit: str = "", null: str | None = None) -> Any:
    """A whole number from `least` to `most`."""
    return _field(stated_number(meaning, int, least, most, unit=unit, null=null))


def number(
    meaning: str, least: float, most: float, *, unit: str = "", null: str | None = None
) -> Any:
    """A number from `least` to `most`."""
    return _field(stated_number(meaning, float, least, most, unit=unit, null=null))


def choice(meaning: str, *choices: Any) -> Any:
    """One of `choices`, null among them where it may be."""
    names = ", ".join(shown_value(one) for one in choices)
    return _field(Stated(meaning, names, lambda key, value: one_of(key, value, choices)))


def name(meaning: str, *, null: str | None = None) -> Any:
    """Text that is not empty."""
    return _field(Stated(meaning, "a name", text, null=null))


def path(meaning: str, *, null: str | None = None) -> Any:
    """A file or folder; ``~`` is the home directory. It is kept as a `Path`."""
    return _field(Stated(meaning, "a path", path_of, null=null))


def anything(meaning: str, allowed: str, *, key: str = "") -> Any:
    """A value that is checked where it is used, or by the program that it is handed to."""
    return _field(Stated(meaning, allowed, _kept, null="", key=key))


def checked(
    meaning: str, allowed: str, take: Callable[[str, Any], Any], *, null: str | None = None
) -> Any:
    """A value that `take`, (key, value) -> value, checks."""
    return _field(Stated(meaning, allowed, take, null=null))


def group(cls: type[Any]) -> Any:
    """The fields of another dataclass, as keys below this one."""
    meaning = (cls.__doc__ or "").splitlines()[0]
    return _field(Stated(meaning, "", lambda key, value: read(cls, value, f"{key}."), group=cls))


def rest(meaning: str, known: Mapping[str, Stated] | None = None) -> Any:
    """Every key of the group that no other field names, as a read-only mapping.

    Args:
        meaning: of any of these keys.
        known: what some of them state; it is not checked here.
    """
    return _field(Stated(meaning, "", _kept, rest=True, known=known))


def stated_number(
    meaning: str,
    kind: type[int] | type[float],
    least: float,
    most: float,
    *,
    unit: str = "",
    null: str | None = None,
) -> Stated:
    """What a numeric field states; `kind` is int for a whole number."""
    what = "whole number" if kind is int else "number"

    def take(key: str, value: Any) -> Any:
        fits = isinstance(value, int) or (kind is float and isinstance(value, float))
        if isinstance(value, bool) or not fits or not least <= value <= most:
            high = fits and not isinstance(value, bool) and value > most
            limit = f"at most {_limit(most)}" if high else f"at least {_limit(least)}"
            raise BadInput(f"{key}={shown_value(value)} must be a {what} of {limit}")
        return value

    end = "or more" if most >= UNLIMITED else f"to {_written(most)}"
    return Stated(meaning, f"{what}, {_written(least)} {end}", take, unit, null)


def one_of(key: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return `value` if it is one of `choices`, of the same type, or raise BadInput with them."""
    if not any(value == one and type(value) is type(one) for one in choices):
        names = ", ".join(shown_value(one) for one in choices)
        raise BadInput(f"{key}={shown_value(value)} is none of {names}")
    return value


def text(key: str, value: Any) -> str:
    """Return `value` if it is text that is not empty, or raise BadInput."""
    if not isinstance(value, str) or not value:
        quoted = isinstance(value, bool | int | float)
        remedy = f"in YAML, quote it: {_quoted(value)}" if quoted else f"give one, {key}=NAME"
        raise BadInput(f"{key}={shown_value(value)} is no name: {remedy}")
    return value


def names(key: str, values: Iterable[Any], *, numbers: bool = False) -> list[str]:
    """A list of names as text; YAML makes true of yes and on, and 7 of 007.

    Args:
        key: of the list.
        values: what the list holds.
        numbers: whole numbers are names, too.

    Raises:
        BadInput: one of them is no text.
    """
    kinds = (str, int) if numbers else (str,)
    for place, value in enumerate(values):
        if not isinstance(value, kinds) or isinstance(value, bool):
            what = f"{key}[{place}]" if value is None else f"{key}[{place}]={shown_value(value)}"
            raise BadInput(f"{what} is no name as YAML reads it: quote it, {_quoted(value)}")
    return [str(value) for value in values]


def _quoted(value: Any) -> str:
    """How a name is written that YAML would not read as text."""
    if isinstance(value, bool):
        return "'yes' or 'on'" if value else "'no' or 'off'"
    if isinstance(value, Mapping):
        return f"'{', '.join(f'{k}: {shown_value(v)}' for k, v in value.items())}'"
    return f"'{shown_value(value)}'"


def path_of(key: str, value: Any) -> Path:
    """The path that a user gave as `key`; ``~`` is the home directory.

    Raises:
        BadInput: it is no text, empty, or lies in a home directory that there is not.
    """
    if not isinstance(value, str) or not value:
        raise BadInput(f"{key}={shown_value(value)} is no path: give a file or folder")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        if value == "~" or value.startswith("~/"):
            raise BadInput(
                f"{key}={value} lies in a home directory, and there is none: set HOME, or for what "
                "is downloaded XDG_CACHE_HOME or downloads.folder=FOLDER"
            ) from error
        raise BadInput(f"{key}={value} cannot be found: there is no such user") from error


def read(cls: type[S], table: Any, prefix: str = "", *, lenient: bool = False, **more: Any) -> S:
    """Make a dataclass of plain containers; keys that it has no field for are left out.

    Args:
        cls: a dataclass whose fields are declared by the functions of this file.
        table: a mapping.
        prefix: of the keys in sentences, such as ``data.``.
        lenient: a key that is absent or null gives None whatever its field says: what a checkpoint
            is described by need not be complete.
        more: fields that are no keys.

    Raises:
        BadInput: a value is not what its field allows.
    """
    if not isinstance(table, Mapping):
        raise BadInput(f"{prefix.rstrip('.')}={shown_value(table)} is no group of keys")
    found = dict(more)
    stated = statements(cls)
    named = {one.key or field for field, one in stated.items()}
    for field, one in stated.items():
        key = one.key or field
        value = table.get(key)
        if one.rest:
            found[field] = frozen({k: v for k, v in table.items() if k not in named})
        elif one.group and lenient:
            found[field] = read(one.group, value or {}, f"{prefix}{key}.", lenient=True)
        elif value is None and (lenient or one.null is not None):
            found[field] = None
        else:
            found[field] = one.take(prefix + key, value)
    return cls(**found)


def refuse_unknown(cls: type, table: Mapping[str, Any], besides: Collection[str] = ()) -> None:
    """Refuse keys by which no field of a dataclass, or of its groups, is called.

    A key that begins with an underscore is left alone: a YAML file may keep there what its other
    keys refer to.

    Args:
        cls: a dataclass whose fields are declared by the functions of this file.
        table: plain containers.
        besides: further keys of the highest level that are known.

    Raises:
        BadInput: with the nearest names.
    """
    for key in _unknown(cls, table):
        if key not in besides:
            known = [row.key for row in describe(cls, table)] + ([] if "." in key else [*besides])
            raise BadInput(f"there is no key {key}: {nearest(key, [*dict.fromkeys(known)])}")


def _unknown(cls: type, table: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(table, Mapping):  # refused when it is read
        return
    named = {one.key or field: one for field, one in statements(cls).items()}
    if any(one.rest for one in named.values()):
        return
    for key, value in table.items():
        if key not in named and not str(key).startswith("_"):
            yield f"{prefix}{key}"
        elif key in named and (group := named[key].group):
            yield from _unknown(group, value, f"{prefix}{key}.")


def statements(cls: type) -> dict[str, Stated]:
    """What the fields of a dataclass state; fields that are no keys are left out."""
    fields: Any = dataclasses.fields(cls)
    return {one.name: one.metadata[STATED] for one in fields if STATED in one.metadata}


def describe(cls: type, defaults: Mapping[str, Any], prefix: str = "") -> list[Row]:
    """The documentation of all keys of a dataclass, in the order of its fields.

    Args:
        cls: such as `doors.TrainSettings`.
        defaults: a composed configuration, as plain containers.
        prefix: of the keys.
    """
    rows: list[Row] = []
    stated = statements(cls)
    named = {one.key or field for field, one in stated.items()}
    for field, one in stated.items():
        key = one.key or field
        value = defaults.get(key)
        if one.group:
            below = value if isinstance(value, Mapping) else {}
            rows += describe(one.group, below, f"{prefix}{key}.")
        elif one.rest:
            for other in (other for other in defaults if other not in named):
                about = (one.known or {}).get(other, one)
                shown = shown_value(defaults[other])
                rows.append(Row(prefix + other, about.meaning, about.unit, about.allowed, shown))
        else:
            meaning = f"{one.meaning}; null: {one.null}" if one.null else one.meaning
            rows.append(Row(prefix + key, meaning, one.unit, one.allowed, shown_value(value)))
    return rows


def _kept(_: str, value: Any) -> Any:
    return frozen(value)


def _limit(number: float) -> str:
    """As it is typed, all digits of a whole number."""
    return str(number) if isinstance(number, int) else f"{number:g}"


def _written(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
