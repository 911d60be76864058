"""Whether annotations can be what they are said to be, judged by the counts of `survey`.

What cannot be right is refused, what may be wrong becomes a finding, which the store keeps. The
bounds stand in `thresholds`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data import thresholds as at
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.errors import BadInput


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong with a data set.

    Attributes:
        what: is the case, with the share that it concerns.
        example: one sample, or nothing.
        remedy: what to do about it, if it is wrong.
    """

    what: str
    example: str
    remedy: str

    def __str__(self) -> str:
        example = f" (e.g. {self.example})" if self.example else ""
        return f"{self.what}{example}: {self.remedy}"


@dataclass(frozen=True)
class Surveyed:
    """What is judged.

    Attributes:
        survey: all samples were added to it.
        counts: (B,) of the survey.
        ids: (B,) of the samples.
        spec: what the samples are said to be.
    """

    survey: Survey
    counts: NDArray[Any]
    ids: Sequence[str]
    spec: StoreSpec

    def example(self, which: NDArray[Any]) -> str:
        """The sample of which `which` (B,) is largest."""
        return repr(self.ids[int(which.argmax())]) if len(which) else ""

    def samples(self, which: NDArray[np.bool_]) -> str:
        """How many these are."""
        return f"{which.sum():,} of {len(which):,} samples"


def judge(data: Surveyed) -> list[Finding]:
    """What may be wrong, in the order in which it is best mended.

    Raises:
        BadInput: something cannot be right.
    """
    faults, findings = judge_all(data)
    if faults:
        raise BadInput(faults[0])
    return findings


def judge_all(data: Surveyed) -> tuple[list[str], list[Finding]]:
    """Everything that cannot be right, a sentence each, and everything that may be wrong."""
    if not data.counts["found"].any():
        nobody = (
            f"no sample holds a single key point (e.g. {data.ids[0]!r}): every joint is at the "
            "origin or missing; make the annotations again"
        )
        return [nobody], []
    faults, findings = list[str](), list[Finding]()
    parts = [_units, _scores, _frames, _joints, _skeleton]
    if data.spec.normalise == "2d":
        parts.insert(1, _picture)
    for part in parts:
        try:
            for finding in part(data):
                findings.append(finding)
        except BadInput as fault:
            faults.append(str(fault))
    return faults, findings


def share(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"


def _units(data: Surveyed) -> Iterator[Finding]:
    """Pixels, metres, or neither."""
    least, most = data.survey.least, data.survey.most
    if data.spec.normalise == "2d":
        yield from _scaled(data)
    if (empty := np.flatnonzero((least == 0) & (most == 0))).size:
        axis = "xyz"[empty[0]]
        yield Finding(
            f"the coordinate {axis} is 0 in all samples",
            "",
            "give key points that have it, or the axes in the order persons, frames, joints, "
            "coordinates",
        )
    if not data.spec.normalise.startswith("3d"):
        return
    if least[2] >= 0 and most[2] <= 1 and max(most[:2]) > at.CONFIDENCE_BESIDE:
        raise BadInput(
            f"the third coordinate lies between 0 and 1 in all samples (e.g. {data.ids[0]!r}) "
            f"while x and y reach {max(most[:2]):.0f}, as pixels with a confidence do: give "
            "keypoint[..., :2] as keypoint and keypoint[..., 2] as keypoint_score of a 2D benchmark"
        )
    if len(data.survey.bodies) < at.BODIES_LEAST:
        return
    bodies = np.stack(data.survey.bodies)
    size = float(np.median(np.ptp(bodies, axis=1).max(-1)))
    if size > at.LARGEST_BODY:
        unit, factor = (
            ("millimetres", 1000) if size > 10 * at.LARGEST_BODY else ("centimetres", 100)
        )
        yield Finding(
            f"bodies are {size:,.0f} metres large",
            "",
            f"coordinates in {unit} are to be divided by {factor}",
        )


def _scaled(data: Surveyed) -> Iterator[Finding]:
    """Key points that were scaled before."""
    finding, part = scaled(data)
    if finding and part >= at.SCALED_WRONG:
        raise BadInput(str(finding))
    if finding:
        yield finding


def scaled(data: Surveyed) -> tuple[Finding | None, float]:
    """Whether key points in place of pixels were scaled before, and the share of such samples."""
    counts = data.counts
    someone = counts["found"] > 0
    small = someone & (counts["farthest"] <= at.SCALED) & (counts["side"] > at.SMALLEST_PICTURE)
    if not small.any():
        return None, 0.0
    part = float(small.sum() / someone.sum())
    pixels = "give them in pixels (multiplied by the picture's width and height)"
    remedy = f"set benchmark.normalise=none, or {pixels}" if part > 1 - at.MIXED else pixels
    finding = Finding(
        f"the key points of {data.samples(small)} lie within {at.SCALED:g} pixels of the picture's "
        "corner, as if they were scaled to [0, 1] or [-1, 1] already",
        data.example(small),
        remedy,
    )
    return finding, part


def _picture(data: Surveyed) -> Iterator[Finding]:
    """The size of the picture, and where key points lie in it."""
    counts = data.counts
    found, outside, exchanged = (counts[name] for name in ("found", "outside", "outside_exchanged"))
    assumed = counts["assumed"]
    if assumed.any():
        yield Finding(
            f"{data.samples(assumed)} have no img_shape, and 1080 x 1920 (height x width) is taken",
            data.example(assumed),
            "give each sample the img_shape=(height, width) of its picture in pixels, and files of "
            "key points reading.img_shape=[HEIGHT, WIDTH]",
        )
    cut = outside > 0
    beyond, total = outside.sum(), found.sum()
    mostly = (outside > found / 2) & (exchanged <= at.CURED * outside)
    many = beyond >= at.EXCHANGED * total or mostly.sum() >= at.MIXED * len(mostly)
    where = f"{share(beyond, total)} of the key points, in {data.samples(cut)}, lie outside"
    example = data.example(outside / np.maximum(found, 1))
    finding = None
    if beyond and many and exchanged[cut].sum() <= at.CURED * beyond:
        finding = Finding(
            f"{where} the picture, and {share(exchanged[cut].sum(), total)} if its width and "
            "height are exchanged",
            example,
            "give img_shape as (height, width), and key points as (x, y), unless the border cuts "
            "bodies off",
        )
    elif beyond >= at.OUTSIDE * total:
        finding = Finding(
            f"{where} the picture",
            example,
            "give the img_shape=(height, width) of the picture in which they were found, and key "
            "points in its pixels, or set benchmark.normalise=none to take them as they are",
        )
    if finding and beyond >= at.OUTSIDE_WRONG * total:
        raise BadInput(str(finding))
    if finding:
        yield finding
    someone = found > 0
    large = someone & (counts["side"] > at.SMALLEST_PICTURE)
    inside = large & (counts["farthest"] > at.SCALED)
    near = inside & (counts["reach"] <= at.REACH)
    if near.sum() > (1 - at.MIXED) * someone.sum():
        yield Finding(
            f"the key points of {data.samples(near)} stay within {at.REACH:.0%} of the picture's "
            "width and height",
            data.example(near),
            "give the img_shape of the picture in which they were found, and key points in its "
            "pixels",
        )


def _scores(data: Surveyed) -> Iterator[Finding]:
    """Confidence that is none."""
    counts = data.counts
    total = counts["scores"].sum()
    if not total:
        return
    for name, words in (("high", "above 1"), ("low", "below 0")):
        if counts[name].sum() > at.SCORES_ODD * total:
            yield Finding(
                f"{share(counts[name].sum(), total)} of the scores are {words}",
                data.example(counts[name]),
                "give a confidence between 0 and 1",
            )
    scored = (counts["scores"] > 0) & (counts["found"] > 0)
    nothing = scored & (counts["score"] <= 0) & (counts["low"] == 0)
    if nothing.sum() > at.MIXED * len(nothing):
        yield Finding(
            f"all scores are 0 in {data.samples(nothing)}",
            data.example(nothing),
            "give the confidence of each joint, or no keypoint_score, which counts as certain",
        )


def _frames(data: Surveyed) -> Iterator[Finding]:
    """Frames that repeat, are too many or too few, or show no one."""
    counts = data.counts
    if (nobody := counts["found"] == 0).any():
        yield Finding(
            f"{data.samples(nobody)} hold no key point at all",
            data.example(nobody),
            "take them out, or find their key points again",
        )
    if (counts["frames"] == 1).all():
        yield Finding(
            f"all {len(counts)} samples have one frame",
            data.example(counts["frames"]),
            "nothing moves, and motion streams are zero; give keypoint as (persons, frames, "
            "joints, coordinates) if there are more",
        )
    frozen = (counts["steps"] > 0) & (counts["repeated"] == counts["steps"])
    steps, repeated = counts["steps"].sum(), counts["repeated"].sum()
    if frozen.sum() > at.FROZEN * len(frozen):
        yield Finding(
            f"nothing moves in {data.samples(frozen)}, whose frames are all alike",
            data.example(frozen),
            "make their key points again for every frame, unless no one moves",
        )
    elif repeated > at.REPEATED * steps:
        yield Finding(
            f"{share(repeated, steps)} of the frames repeat the one before",
            data.example(counts["repeated"] / np.maximum(counts["steps"], 1)),
            "leave them out where recordings were padded or slowed down",
        )
    dropped = data.spec.normalise.startswith("3d")
    if not dropped and counts["empty"].sum() > at.EMPTY * counts["frames"].sum():
        yield Finding(
            f"{share(counts['empty'].sum(), counts['frames'].sum())} of the frames show no one",
            data.example(counts["empty"] / counts["frames"]),
            "leave them out where samples were padded to one length",
        )
    if (long := counts["frames"] > at.LONGEST).any():
        yield Finding(
            f"{data.samples(long)} have more than {at.LONGEST:,} frames, an hour",
            data.example(counts["frames"]),
            "give keypoint as (persons, frames, joints, coordinates), one recording a sample",
        )


def _joints(data: Surveyed) -> Iterator[Finding]:
    """Joints that were not found."""
    counts, survey = data.counts, data.survey
    never = survey.missing == survey.rows
    # the joint that a body was centred on is always at the origin
    if data.spec.normalise != "2d" and never.sum() == 1 and not counts["nan"].any():
        counts = np.array(counts)
        rows = sum(counts[name] for name in ("found", "nan", "zero", "minus")) // len(never)
        counts["zero"] -= rows
        never &= False
    if never.any():
        names = [f"{i} ({data.spec.skeleton.joints[i]})" for i in np.flatnonzero(never)[:3]]
        more = ", ..." if never.sum() > 3 else ""
        several = "joints" if never.sum() > 1 else "joint"
        centred = data.spec.normalise == "2d" and never.sum() == 1 and counts["zero"].any()
        yield Finding(
            f"{several} {', '.join(names)}{more} of {len(never)} are missing in all samples",
            "",
            "choose a skeleton without them, if the key points never hold them"
            + ", or set benchmark.normalise=none, if bodies are centred on it" * bool(centred),
        )
    marks = {"nan": "NaN", "zero": "0", "minus": "-1"}
    by_mark = {mark: int(counts[name].sum()) for name, mark in marks.items()}
    missing = sum(by_mark.values())
    total = missing + int(counts["found"].sum())
    if not missing or (data.spec.missing == "error" and missing <= at.MISSING * total):
        return
    mostly = max(by_mark, key=lambda mark: by_mark[mark])
    done = {
        "error": "used as they are; data.missing=zero gives them score 0, "
        "data.missing=interpolate fills them from the frames around",
        "zero": "set to 0 with score 0 (data.missing=zero)",
        "interpolate": "filled from the frames around, with score 0 (data.missing=interpolate)",
    }
    yield Finding(
        f"{share(missing, total)} of the joints are missing, mostly as {mostly}",
        data.example(counts["nan"] + counts["zero"] + counts["minus"]),
        done[data.spec.missing],
    )


def _skeleton(data: Surveyed) -> Iterator[Finding]:
    """Joints in another order than the skeleton's."""
    if len(data.survey.bodies) < at.BODIES_LEAST:
        return
    skeleton = data.spec.skeleton
    parents = [pair for pair in enumerate(skeleton.bone_parents) if pair[0] != pair[1]]
    length = bone_length(data.survey.bodies, skeleton.edges, parents)
    if length is not None and length > at.MISPLACED:
        V = skeleton.num_joints
        also = " (Human3.6M has 17 joints, too)" if skeleton.name == "coco17" else ""
        yield Finding(
            f"the key points form bodies, but not of the skeleton {skeleton.name}, whose bones "
            f"are {share(length, 1)} as long as the way between any two joints",
            "",
            f"choose the skeleton whose {V} joints are in the order of the key points{also}",
        )


def bone_length(
    bodies: Sequence[NDArray[np.float32]], *trees: Sequence[tuple[int, int]]
) -> float | None:
    """Mean length of a skeleton's bones over the mean distance of two joints.

    Args:
        bodies: (V, C) each.
        trees: pairs of joints; of several, the one with the shortest is taken.

    Returns:
        About a half for a right skeleton, about 1 for joints in another order; None if the joints
        are of no body: no tree over them has short edges in all bodies.
    """
    V = len(bodies[0])
    lengths = np.zeros((V, V))
    for body in bodies:
        ways = np.linalg.norm(body[:, None] - body[None], axis=-1)
        lengths += ways / max(ways.mean(), 1e-12)
    mean = lengths.sum() / (V * (V - 1))
    if not mean or tree_length(lengths) / mean > at.ASSEMBLED:
        return None
    return float(min(np.mean([lengths[pair] for pair in pairs]) for pairs in trees if pairs) / mean)


def tree_length(lengths: NDArray[np.float64]) -> float:
    """Mean edge of the shortest tree over all joints (Prim); `lengths` is (V, V)."""
    nearest, left = lengths[0].copy(), np.ones(len(lengths), np.bool_)
    left[0] = False
    total = 0.0
    while left.any():
        joint = int(np.where(left, nearest, np.inf).argmin())
        total += nearest[joint]
        left[joint] = False
        nearest = np.minimum(nearest, lengths[joint])
    return total / (len(lengths) - 1)
