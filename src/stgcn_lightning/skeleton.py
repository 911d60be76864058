"""What a body is: joints, the graph over them, bones, left and right.

One source for the graph, the bone stream, flips and drawings. It holds two tables that contradict
each other in places, because the published weights were trained with both: the graph convolution
uses `edges`, the bone stream `bone_parents` (in `coco17` the graph joins the hips to the shoulders
while the bones run to the nose). The tables themselves are in `conf/skeleton/`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from stgcn_lightning.errors import BadInput, brief

MOST_JOINTS = 1000  # tables of more take long to check, and are of no body


@dataclass(frozen=True)
class Normalisation:
    """Joints that define the position and the orientation of a 3D body.

    Attributes:
        centre: the joint moved to the origin.
        body: two joints, from and to, of the axis turned to +z.
        shoulders: left and right, the line turned to +x.
    """

    centre: int
    body: tuple[int, int]
    shoulders: tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """One body.

    Attributes:
        name: what users call it, e.g. `coco17`.
        joints: a name for every joint, by index.
        edges: (child, parent) pairs of the graph convolution, pointing to the centre.
        graph_centre: the joint from which the graph measures distance.
        bone_parents: for every joint the one its bone starts at; the root is its own parent.
        k_bone_parents: for every joint the one its k-bone starts at; None: the parent's parent.
        left_right: pairs of joints that a mirror exchanges.
        normalise: joints for 3D normalisation; None for a body that is never seen in 3D.

    Example:
        >>> leg = Skeleton.from_dict(
        ...     {
        ...         "name": "leg",
        ...         "joints": ["hip", "knee", "foot"],
        ...         "edges": [[1, 0], [2, 1]],
        ...         "graph_centre": 0,
        ...         "bone_parents": [0, 0, 1],
        ...         "left_right": [],
        ...         "normalise": None,
        ...     }
        ... )
        >>> leg.num_joints, leg.joints[leg.bone_parents[2]]
        (3, 'knee')
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    graph_centre: int
    bone_parents: tuple[int, ...]
    left_right: tuple[tuple[int, int], ...]
    normalise: Normalisation | None
    k_bone_parents: tuple[int, ...] | None = None

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joints)

    @property
    def k_parents(self) -> tuple[int, ...]:
        """For every joint the one its k-bone starts at."""
        if self.k_bone_parents is not None:
            return self.k_bone_parents
        return tuple(self.bone_parents[parent] for parent in self.bone_parents)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Skeleton":
        """Build a skeleton from plain containers, as `conf/skeleton/*.yaml` holds them.

        Raises:
            BadInput: a key is unknown or missing, a value has the wrong form, or the tables
                contradict each other.
        """
        about = f"skeleton `{table['name']}`" if "name" in table else "the skeleton"
        table = {"k_bone_parents": None, **table}  # older tables lack it
        _check_keys(table, (field.name for field in fields(cls)), about)
        if len(_list(table["joints"], "joints", about)) > MOST_JOINTS:
            raise BadInput(f"{about}: `joints` has more than {MOST_JOINTS:,} entries: name fewer.")
        normalise = table["normalise"]
        if normalise is not None:
            if not isinstance(normalise, Mapping):
                raise BadInput(
                    f"{about}: `normalise` is {brief(normalise)}: give centre, body, shoulders, or "
                    "null."
                )
            _check_keys(
                normalise,
                (field.name for field in fields(Normalisation)),
                f"{about}, `normalise`",
            )
            normalise = Normalisation(
                centre=_joint(normalise["centre"], "normalise.centre", about),
                body=_pair(normalise["body"], "normalise.body", about),
                shoulders=_pair(normalise["shoulders"], "normalise.shoulders", about),
            )
        skeleton = cls(
            name=str(table["name"]),
            joints=tuple(_name(name, about) for name in _list(table["joints"], "joints", about)),
            edges=_pairs(table["edges"], "edges", about),
            graph_centre=_joint(table["graph_centre"], "graph_centre", about),
            bone_parents=_joints(table["bone_parents"], "bone_parents", about),
            left_right=_pairs(table["left_right"], "left_right", about),
            normalise=normalise,
            k_bone_parents=None
            if table["k_bone_parents"] is None
            else _joints(table["k_bone_parents"], "k_bone_parents", about),
        )
        _check_tables(skeleton, about)
        return skeleton

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, of which `from_dict` makes the same skeleton."""
        table = dict(vars(self))  # not `asdict`, which is slow: stores are named by this
        table["joints"] = list(self.joints)
        table["edges"] = [list(edge) for edge in self.edges]
        table["bone_parents"] = list(self.bone_parents)
        table["left_right"] = [list(pair) for pair in self.left_right]
        if self.normalise is not None:
            of = self.normalise
            table["normalise"] = vars(of) | {
                "body": list(of.body), "shoulders": list(of.shoulders)
            }  # fmt: skip
        if self.k_bone_parents is None:
            del table["k_bone_parents"]
        else:
            table["k_bone_parents"] = list(self.k_bone_parents)
        return table


def _check_keys(table: Mapping[str, Any], expected: Iterable[str], about: str) -> None:
    expected = list(expected)
    for key in table:
        if key not in expected:
            near = get_close_matches(str(key), expected, n=1, cutoff=0)
            raise BadInput(f"{about}: there is no key `{key}`; did you mean `{near[0]}`?")
    for key in expected:
        if key not in table:
            raise BadInput(f"{about}: the key `{key}` is missing: add it.")


def _list(value: Any, field: str, about: str) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadInput(f"{about}: `{field}` is {brief(value)}, which is not a list: give a list.")
    return value


def _name(value: Any, about: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadInput(
            f"{about}: `joints` has {brief(value)}, which is no name as YAML reads it: quote names."
        )
    return str(value)


def _joint(value: Any, field: str, about: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{about}: `{field}` has {brief(value)}, which is not the index of a joint.")
    return value


def _joints(value: Any, field: str, about: str) -> tuple[int, ...]:
    return tuple(_joint(joint, field, about) for joint in _list(value, field, about))


def _pair(value: Any, field: str, about: str) -> tuple[int, int]:
    if len(_list(value, field, about)) != 2:
        raise BadInput(
            f"{about}: `{field}` has {brief(list(value[:3]))}, which is not a pair of joints."
        )
    return _joint(value[0], field, about), _joint(value[1], field, about)


def _pairs(value: Any, field: str, about: str) -> tuple[tuple[int, int], ...]:
    return tuple(_pair(pair, field, about) for pair in _list(value, field, about))


def _check_tables(skeleton: Skeleton, about: str) -> None:
    """Raise BadInput, naming joint and field, if the tables contradict each other."""
    if not skeleton.joints:
        raise BadInput(f"{about}: `joints` is empty: name every joint.")
    for i, name in enumerate(skeleton.joints):
        if (first := skeleton.joints.index(name)) != i:
            raise BadInput(
                f"{about}: `joints` names both {first} and {i} `{name}`: give each its own name."
            )
    _check_range(skeleton, about)
    for field, parents in (
        ("bone_parents", skeleton.bone_parents),
        ("k_bone_parents", skeleton.k_bone_parents),
    ):
        if parents is not None and len(parents) != skeleton.num_joints:
            raise BadInput(
                f"{about}: `{field}` has {len(parents)} entries but there are"
                f" {skeleton.num_joints} joints: give every joint its parent, the root itself."
            )

    def named(joint: int) -> str:
        return f"joint {joint} (`{skeleton.joints[joint]}`)"

    seen: set[frozenset[int]] = set()
    for edge in skeleton.edges:
        if edge[0] == edge[1]:
            raise BadInput(
                f"{about}: `edges` joins {named(edge[0])} to itself: remove it, since every graph"
                " mode that needs self-loops adds them."
            )
        if frozenset(edge) in seen:
            raise BadInput(f"{about}: `edges` has {list(edge)} twice: keep one of the two.")
        seen.add(frozenset(edge))

    alone = set(range(skeleton.num_joints)) - _connected(skeleton.edges, skeleton.graph_centre)
    if alone:
        raise BadInput(
            f"{about}: no path of `edges` joins {named(min(alone))} to the graph centre: add the"
            " missing edge."
        )
    for joint in range(skeleton.num_joints):
        ancestors = [joint]
        while (parent := skeleton.bone_parents[ancestors[-1]]) != ancestors[-1]:
            if parent in ancestors:
                raise BadInput(
                    f"{about}: `bone_parents` lead from {named(joint)} in a circle and never to a"
                    " root: let one joint be its own parent."
                )
            ancestors.append(parent)

    paired: set[int] = set()
    for pair in skeleton.left_right:
        for joint in pair:
            if joint in paired:
                raise BadInput(
                    f"{about}: `left_right` has {named(joint)} twice: a joint has one mirror image."
                )
            paired.add(joint)


def _check_range(skeleton: Skeleton, about: str) -> None:
    indices: dict[str, Collection[int]] = {
        "edges": [joint for edge in skeleton.edges for joint in edge],
        "graph_centre": [skeleton.graph_centre],
        "bone_parents": skeleton.bone_parents,
        "k_bone_parents": skeleton.k_bone_parents or (),
        "left_right": [joint for pair in skeleton.left_right for joint in pair],
    }
    if (at := skeleton.normalise) is not None:
        indices |= {
            "normalise.centre": [at.centre],
            "normalise.body": at.body,
            "normalise.shoulders": at.shoulders,
        }
    for field, joints in indices.items():
        for joint in joints:
            if not 0 <= joint < skeleton.num_joints:
                raise BadInput(
                    f"{about}: `{field}` has joint {joint}, but joints run from 0 to"
                    f" {skeleton.num_joints - 1}."
                )


def _connected(edges: Iterable[tuple[int, int]], start: int) -> set[int]:
    """Joints that can be reached from `start`."""
    neighbours: dict[int, set[int]] = {}
    for child, parent in edges:
        neighbours.setdefault(child, set()).add(parent)
        neighbours.setdefault(parent, set()).add(child)
    reached, frontier = {start}, {start}
    while frontier:
        frontier = {n for joint in frontier for n in neighbours.get(joint, ())} - reached
        reached |= frontier
    return reached
