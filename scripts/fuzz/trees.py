"""Changes to nested containers, as JSON, YAML and pickles hold them."""

from random import Random
from typing import Any

import numpy as np

HOSTILE_NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 17, 255, 256, -129, 10_000, 10**6, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**62,
    2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**19, 10**40, 10**400,
    0.5, -0.0, 1e-320, 1e-40, 1e30, 1e39, -1e39, 1e300, 1e308, float("nan"), float("inf"),
    -float("inf"),
)  # fmt: skip
HOSTILE_TEXTS = (
    "", " ", "\n", "a\nb", "\r", "\0", "\x1b[31m", "\u2028", "\u202e", "\ud800", "é" * 300,
    "x" * 5000,
    "../../x", "/etc/passwd", "C:\\x", "${oc.env:HOME}", "{0.__class__}", "%s%n", "nan", "inf",
    "1e999",
    "9" * 5000, "-1", "0x10", "1_0", "\u0661", "\u00b2", "True", "None", "null", "__class__",
    "0.jpg",
    "a/1.png", "person", "coco17", "stgcn", "3d", "joint", "metres", "pixels", "up",
)  # fmt: skip
DEPTHS = (3, 60, 400)


def value(rng: Random) -> Any:
    """Something that may stand in a place where it is not expected."""
    kind = rng.randrange(6)
    if kind < 2:
        return rng.choice(HOSTILE_NUMBERS)
    if kind < 4:
        return rng.choice(HOSTILE_TEXTS)
    if kind == 4:
        return rng.choice((None, True, False, [], {}, [[]], [None], {"": 0}, [{}], [[], [0]]))
    return nested(rng)


def nested(rng: Random) -> Any:
    """A container in a container in a container."""
    found: Any = rng.choice((0, None, "x"))
    for _ in range(rng.choice(DEPTHS)):
        found = [found] if rng.random() < 0.5 else {"a": found}
    return found


def places(tree: Any, rng: Random) -> tuple[Any, Any] | None:
    """A container anywhere in a tree, and a key in it."""
    at: Any = None
    node = tree
    for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5, 8))):
        if isinstance(node, dict) and node:
            key: Any = rng.choice(list(node))
        elif isinstance(node, list) and node:
            key = rng.randrange(len(node))
        else:
            break
        at = (node, key)
        node = node[key]
    return at


def changed(rng: Random, tree: Any, times: int = 0, value: Any = value) -> Any:
    """A tree with changes, made in place where it is a container.

    Args:
        rng: where chance comes from.
        tree: of lists and dicts.
        times: how many; 0 is some.
        value: makes what is put in, of `rng` and perhaps what was there.
    """
    grown = False
    for _ in range(times or rng.choice((1, 1, 1, 2, 4))):
        if rng.random() < 0.02 or (place := places(tree, rng)) is None:
            tree = value(rng)
            continue
        node, key = place
        kind = rng.randrange(12)
        if kind < 4:
            node[key] = value(rng)
        elif kind == 4:
            node[key] = near(rng, node[key])
        elif kind == 5:
            del node[key]
        elif kind == 6:
            node[key] = [node[key]] * rng.choice((1, 2, 3))
        elif kind == 7 and isinstance(node[key], list | tuple | str) and node[key]:
            node[key] = node[key][: rng.randrange(len(node[key]))]
        elif kind == 8 and (other := places(tree, rng)):
            other[0][other[1]] = node[key]  # twice, or in a circle
        elif kind == 9 and isinstance(node, dict):
            node[rng.choice((*HOSTILE_TEXTS, *map(str, node)))] = node.pop(key)
        elif kind == 10 and isinstance(node, list):
            node[key:key] = many(rng, node[key], grown)
            grown = True
        elif kind == 11 and isinstance(node, dict):
            node[rng.choice(HOSTILE_TEXTS)] = value(rng)
        else:
            node[key] = near(rng, node[key])
    return tree


def many(rng: Random, old: Any, grown: bool) -> list[Any]:
    """So many entries that what takes the square of their number is seen."""
    alone = not isinstance(old, list | dict | tuple)
    times = rng.choice((1, 1, 2) if grown else (1, 2, 40, 3000 if alone else 40))
    if isinstance(old, str):
        return [f"{old}{n}" for n in range(times)]
    if isinstance(old, int):
        return [old + n for n in range(times)]
    return [old] * times


def near(rng: Random, old: Any) -> Any:
    """A value of the same type."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return rng.choice((old + 1, old - 1, -old, old * 1000, float(old), str(old)))
    if isinstance(old, float):
        return rng.choice((old * 1e6, -old, old / 1e6, int(np.nan_to_num(old) % 1e9)))
    if isinstance(old, str):
        return rng.choice(
            (old + "x", old[:-1], (old * 100)[:5000], old + "\n", [old], old.encode())
        )
    if isinstance(old, list):
        return rng.choice((old[::-1], old * 2, old[1:], tuple(old), dict(enumerate(old))))
    if isinstance(old, tuple):
        return rng.choice((old[::-1], old * 2, old[1:], [*old]))
    if isinstance(old, dict):
        return rng.choice(([*old], [*old.values()], [*old.items()], {**old, "": None}))
    return value(rng)
