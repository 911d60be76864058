"""Colours of the pictures that are no page: those of templates/report.css.

Blue and orange differ for every kind of colour blindness, and in lightness.
"""

from typing import NamedTuple

from stgcn_lightning.errors import BadInput, nearest


class Colours(NamedTuple):
    """Colours by their use, as #rrggbb; see the variables of report.css."""

    paper: str
    ink: str
    soft: str
    rule: str
    faint: str
    cool: str
    warm: str
    bone: str


THEMES = {
    "light": Colours(
        paper="#fdfdfb", ink="#1c1e21", soft="#5f646b", rule="#d8dadd", faint="#eff0ee",
        cool="#22659a", warm="#c44a12", bone="#a9adb3",
    ),
    "dark": Colours(
        paper="#14161a", ink="#e5e5e1", soft="#9da2a9", rule="#363a41", faint="#1f2227",
        cool="#6db3e6", warm="#f58b50", bone="#646a73",
    ),
}  # fmt: skip


def theme_named(name: str) -> Colours:
    """The colours of a theme.

    Raises:
        BadInput: there is none of this name.
    """
    if name not in THEMES:
        raise BadInput(f"theme={name}: {nearest(name, [*THEMES])}")
    return THEMES[name]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb, 0 to 255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def mixed(one: str, other: str, share: float) -> str:
    """A colour with a share, 0 to 1, of another one.

    Example:
        >>> mixed("#000000", "#ffffff", 0.2)
        '#333333'
    """
    parts = zip(rgb(one), rgb(other), strict=True)
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in parts)
