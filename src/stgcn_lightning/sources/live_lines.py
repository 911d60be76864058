"""Lines of JSON that come while persons move, one for each frame.

``{"persons": {"anna": [[x, y, score], ...], "ben": ...}}`` names persons by a tracker's ids;
``{"persons": [[[x, y, score], ...], ...]}`` lists people in any order, to be followed from frame to
frame (`following`). A joint is x, y, with a score if there are scores, or in 3D x, y, z; null is a
number that is not known. No persons are a frame in which nobody was seen.

Axes: M persons, V joints, C coordinates.
"""

from typing import Any, Literal, cast

import numpy as np

from stgcn_lightning.errors import BadInput, brief, nearest
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.json_text import many, numbers, parsed, table
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32

MOST_PERSONS = 1000


def frame_of(
    line: str | bytes, about: str, skeleton: Skeleton, reading: Reading, dimension: str
) -> Recording | None:
    """The frame that a line is, as a recording of one frame; None where nobody is in it.

    Args:
        line: of JSON.
        about: what the line is called in the sentence of an error, and the id of the recording.
        skeleton: whose joints the frames have.
        reading: unit, y, rate, and the size of the pictures.
        dimension: 2d or 3d.

    Raises:
        BadInput: it is no such line.
    """
    content = table(parsed(line, about), about)
    for key in content:
        if key != "persons":
            raise BadInput(
                f"{about} has the key {key}: {nearest(key, ['persons'])}; what is the same for all "
                "frames is said on the command line, reading.fps=30"
            )
    if "persons" not in content:
        raise BadInput(f'{about} has no persons: write {{"persons": {{}}}} where nobody is seen')
    given: Any = content["persons"]
    named = isinstance(given, dict)
    people = cast(dict[str, Any], given) if named else dict(enumerate(many(given, about)))
    if len(people) > MOST_PERSONS:
        raise BadInput(f"{about} has {len(people):,} persons: {MOST_PERSONS:,} are too many")
    bodies = [
        _body(one, f"{about}: person {id}", skeleton, dimension) for id, one in people.items()
    ]
    if not bodies:
        return None
    if len({body.shape[1] for body in bodies}) > 1:
        raise BadInput(f"{about} has persons with scores and some without: write all alike")
    points = as_float32(np.stack(bodies))[:, None]  # M, 1, V, C
    scored = dimension == "2d" and points.shape[-1] == 3
    y: Literal["up", "down"] = "up" if dimension == "3d" else "down"
    return Recording(
        id=about,
        keypoint=points[..., :2] if scored else points,
        score=np.nan_to_num(points[..., 2]) if scored else None,
        joints=skeleton.joints,
        skeleton=skeleton.name,
        unit="pixels" if dimension == "2d" else "metres",
        y=reading.y or y,
        tracked=named,
        persons=tuple(str(id) for id in people) if named else (),
    )


def _body(given: object, about: str, skeleton: Skeleton, dimension: str) -> Any:
    body = numbers(given, about)
    allowed = (2, 3) if dimension == "2d" else (3,)
    if body.ndim != 2 or len(body) != skeleton.num_joints or body.shape[1] not in allowed:
        joint = "[x, y] or [x, y, score]" if dimension == "2d" else "[x, y, z]"
        raise BadInput(
            f"{about} has key points of shape {body.shape} ({brief(given)}): give {joint} of each "
            f"of the {skeleton.num_joints} joints of {skeleton.name}"
        )
    return body
