"""Samples judged without a benchmark: by the checks of the store, of which none is refused here.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.checks import COORDINATES, all_faults
from stgcn_lightning.data.plausible import Finding, Surveyed, judge_all, scaled
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.data.thresholds import MIXED
from stgcn_lightning.evaluation.statistics import typical_pose
from stgcn_lightning.jobs.inspection.estimates import PERSONS, Size
from stgcn_lightning.jobs.inspection.inspected import Histogram
from stgcn_lightning.jobs.inspection.postures import judge_posture
from stgcn_lightning.jobs.inspection.taken import Taken, sharper, taken_for
from stgcn_lightning.report.bodies import Drawn, drawn
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.concepts import concepts

POSES = 300  # bodies among which a usual one is looked for
PICTURES = 3  # sizes of pictures that are named
BINS = 12  # of a histogram of lengths
USUAL = 0.98  # of the samples are not far longer than the others
NAN = "interpolate"  # data.missing where joints are NaN, which training refuses otherwise


@dataclass(frozen=True)
class Judged:
    """Samples, and what is wrong with them.

    Attributes:
        taken: what they are taken for.
        normalise: the normalisation that suits them: 2d, 3d or none.
        missing: data.missing that they need.
        good: samples that can be used.
        counts: of the survey, of the good ones.
        faults: what the store refuses.
        scaled: that key points are scaled already, as `normalise` none takes them to be; or None.
        findings: what else may be wrong.
        body: one of the bodies, to be drawn; None where there is none, or its skeleton is unknown.
    """

    taken: Taken
    normalise: str
    missing: str
    good: list[Sample]
    counts: NDArray[Any]
    faults: list[str]
    scaled: Finding | None
    findings: list[Finding]
    body: Drawn | None = None


def judged(samples: Sequence[Sample], known: Sequence[Skeleton], given: bool = False) -> Judged:
    """Count and judge samples as the building of a store does, and go on after each fault.

    Args:
        samples: at least one.
        known: skeletons that they may be of.
        given: these are what the user stated.
    """
    taken = taken_for(samples, known, given)
    faults, good = all_faults(
        Annotations(list(samples), {}),
        skeleton=taken.skeleton,
        classes=taken.classes,
        dimension=taken.dimension,
        missing="zero",  # NaN is counted, and said below
    )
    pictures = taken.normalise == "2d" and all(sample.img_shape for sample in good)
    survey = Survey(
        taken.skeleton.num_joints,
        COORDINATES[taken.dimension],
        pictures=pictures,
        samples=max(1, len(good)),
    )
    for sample in good:
        survey.add(sample)
    counts = survey.counts()
    if not good:
        return Judged(taken, taken.normalise, "error", good, counts, faults, None, [])
    taken = sharper(taken, [] if given else known, survey.bodies)
    normalise = taken.normalise if pictures or taken.dimension == "3d" else "none"
    nan = bool(counts["nan"].any())
    # 3D is judged as metres even where its skeleton cannot be turned
    judged_as = normalise if taken.dimension == "2d" else "3d"
    spec = StoreSpec(
        taken.skeleton, taken.dimension, judged_as, taken.classes, missing=NAN if nan else "error"
    )
    data = Surveyed(survey, counts, [sample.id for sample in good], spec)
    findings = list[Finding]()
    already, part = scaled(data) if pictures else (None, 0.0)
    most = part > 1 - MIXED  # of a mixture, no normalisation is right
    if most:
        normalise = "none"
        data = replace(data, spec=replace(spec, normalise=normalise))
    elif taken.normalise == "2d" and not pictures:
        without = np.array([sample.img_shape is None for sample in good])
        findings.append(
            Finding(
                f"{data.samples(without)} have no img_shape, to which benchmark.normalise=2d "
                "scales key points",
                data.example(without),
                "give (height, width) in pixels, or set benchmark.normalise=none",
            )
        )
    if not taken.named:  # of a chain, the lengths of bones say nothing
        survey.bodies.clear()
        findings.append(_unnamed(taken))
    body = body_of(survey.bodies, taken) if taken.named else None
    wrong, odd = judge_all(data)
    if nan:
        odd = [_nan(data), *odd]
    odd += _persons(good, data)
    if taken.dimension == "2d" and taken.named:
        odd += judge_posture(survey.bodies, taken.skeleton)
    return Judged(
        taken,
        normalise,
        NAN if nan else "error",
        good,
        counts,
        [*faults, *wrong],
        already if most else None,
        [*findings, *odd],
        body,
    )


def body_of(bodies: Sequence[NDArray[np.float32]], taken: Taken) -> Drawn | None:
    """A usual one of bodies (V, C), as it is given; z is left out, of which y looks up."""
    if not bodies:
        return None
    poses = np.stack(bodies[:POSES])[..., :2] * (1, 1 if taken.dimension == "2d" else -1)
    skeleton = taken.skeleton
    return drawn(
        skeleton,
        concepts(skeleton.joints, skeleton.name),
        poses[typical_pose(poses)],
        f"a body of the samples as it is given, {skeleton.name}",
    )


def _nan(data: Surveyed) -> Finding:
    which = data.counts["nan"]
    return Finding(
        f"{data.samples(which > 0)} hold joints of NaN, which training refuses",
        data.example(which),
        "set data.missing=interpolate, which fills them from the frames around, or "
        "data.missing=zero",
    )


def _persons(good: Sequence[Sample], data: Surveyed) -> Iterator[Finding]:
    persons = np.array([sample.keypoint.shape[0] for sample in good])
    if (persons > PERSONS).any():
        yield Finding(
            f"{data.samples(persons > PERSONS)} hold more than {PERSONS} persons, of whom the "
            f"first {PERSONS} are trained on",
            data.example(persons),
            "put those who matter first, or set data.persons",
        )


def _unnamed(taken: Taken) -> Finding:
    V = taken.skeleton.num_joints
    return Finding(
        f"no skeleton here has {V} joints",
        "",
        "write one (docs/extending.md) and give it, skeleton=NAME --config-dir=FOLDER",
    )


def facts_of(samples: Sequence[Sample], taken: Taken) -> dict[str, Any]:
    """Numbers of samples, persons, frames, joints and so on, plain."""
    shapes = [sample.keypoint.shape for sample in samples]
    persons, frames = (np.array([shape[axis] for shape in shapes]) for axis in (0, 1))
    skeleton = taken.skeleton.name if taken.named else None
    facts: dict[str, Any] = {
        "samples": len(samples),
        "skeleton": skeleton,
        "joints": taken.skeleton.num_joints,
        "dimension": taken.dimension,
        "dtype": ", ".join(sorted({str(sample.keypoint.dtype) for sample in samples})),
        "frames": spread(frames),
        "persons": spread(persons),
        "scores": share_of([sample.score is not None for sample in samples]),
        "bytes": size_of(samples, taken).read,
    }
    if taken.others:
        facts["other_skeletons_of_as_many_joints"] = list(taken.others)
    sizes = Counter(s.img_shape for s in samples if s.img_shape and not s.img_shape_assumed)
    if sizes:
        facts["pictures_height_x_width"] = [
            f"{h} x {w} ({n:,})" for (h, w), n in sizes.most_common(PICTURES)
        ]
    return facts


def spread(values: NDArray[np.int64]) -> dict[str, float]:
    """Least, mean, most and sum."""
    return {
        "least": int(values.min()),
        "mean": round(float(values.mean()), 2),
        "most": int(values.max()),
        "total": int(values.sum()),
    }


def share_of(which: Sequence[bool]) -> str:
    """Whether all, none or some are so."""
    if all(which):
        return "all samples"
    return f"{sum(which):,} of {len(which):,} samples" if any(which) else "none"


def lengths(frames: NDArray[np.int64]) -> Histogram:
    """How many samples have how many frames."""
    least, most = int(frames.min()), int(frames.max())
    if least == most:
        return Histogram("frames of a sample", "samples", [str(least)], [len(frames)])
    usual = int(np.quantile(frames, USUAL))
    top = usual if most > 2 * usual else most
    edges = np.unique(
        np.linspace(least, top + 1, min(BINS, len(np.unique(frames))) + 1).astype(int)
    )
    if top < most:  # a few that are far longer share the last range
        edges = np.append(edges, most + 1)
    counts, _ = np.histogram(frames, edges)
    names = [
        str(low) if low + 1 == high else f"{low} to {high - 1}"
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return Histogram("frames of a sample", "samples", names, counts.tolist())


def size_of(samples: Sequence[Sample], taken: Taken, trained: int = 0) -> Size:
    """What estimates need to know."""
    arrays = [array for s in samples for array in (s.keypoint, s.score) if array is not None]
    half = taken.dimension == "2d" and {array.dtype for array in arrays} == {np.dtype(np.float16)}
    return Size(
        np.array([sample.keypoint.shape[0] for sample in samples]),
        np.array([sample.keypoint.shape[1] for sample in samples]),
        taken.skeleton.num_joints,
        2 if half else 4,
        sum(array.nbytes for array in arrays),
        trained,
    )
