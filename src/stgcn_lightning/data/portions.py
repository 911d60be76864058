"""What is done to the samples of a store, a portion of them at a time.

Neither torch nor anything else that takes long to import is needed here: `helpers` does this in
processes of its own.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from stgcn_lightning.data.checks import COORDINATES, sample_faults
from stgcn_lightning.data.missing import without_missing
from stgcn_lightning.data.normalise import normalise, placed_all
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample, loaded

AT_ONCE = 1 << 12  # rows that are normalised together: they stay in the cache


@dataclass(frozen=True)
class Prepared:
    """What is known of the samples of a portion that were prepared.

    Attributes:
        shapes: (persons, frames) that are stored of each.
        survey: they were added to it.
        digest: XXH3 of their frames, in their order.
    """

    shapes: list[tuple[int, int]]
    survey: Survey
    digest: int


class Portions:
    """What can be asked of a portion of the samples.

    Args:
        spec: how samples are checked and normalised.
        frames: the file that frames are written to.
    """

    def __init__(self, spec: StoreSpec, frames: Path) -> None:
        self.spec, self.frames = spec, frames
        self.bodies: list[NDArray[np.floating[Any]]] = []

    def faults(self, samples: Sequence[Sample]) -> dict[str, str]:
        """What is wrong with the values of samples, by their ids."""
        return faults_of(loaded(samples), self.spec)

    def prepare(
        self, samples: Sequence[Sample], first: int, count: int, dtype: np.dtype[Any]
    ) -> Prepared:
        """Normalise samples, which stay here until `write`, and count what is in them.

        Args:
            samples: good ones.
            first: number of the first one among all that are stored.
            count: how many these are.
            dtype: of the stored frames.

        Raises:
            BadInput: a sample is bad, cannot be normalised or not be stored.
        """
        samples = list(loaded(samples))
        if faults := faults_of(samples, self.spec):
            raise BadInput(f"samples are bad: {faults}")
        survey = survey_of(self.spec, count, first)
        self.bodies = list(bodies_of(samples, self.spec, dtype))
        for sample in samples:
            survey.add(sample)
        survey.counts()  # of those that wait
        digest = xxhash.xxh3_64()
        for bodies in self.bodies:
            digest.update(bodies.data)
        return Prepared([bodies.shape[:2] for bodies in self.bodies], survey, digest.intdigest())

    def write(self, start: int) -> None:
        """Write the frames of the samples that were prepared last, from byte `start` on."""
        with self.frames.open("r+b") as file:
            file.seek(start)
            for bodies in self.bodies:
                file.write(bodies.data)
        self.bodies = []


def faults_of(samples: Iterable[Sample], spec: StoreSpec) -> dict[str, str]:
    """What is wrong with the values of samples, see `checks.sample_faults`."""
    return sample_faults(
        samples,
        skeleton=spec.skeleton,
        classes=spec.classes,
        dimension=spec.dimension,
        missing=spec.missing,
        max_frames=spec.max_frames,
    )


def survey_of(spec: StoreSpec, samples: int, first: int = 0) -> Survey:
    """An empty survey for samples of which `spec` says what they are."""
    return Survey(
        spec.skeleton.num_joints,
        COORDINATES[spec.dimension],
        pictures=spec.normalise == "2d",
        samples=samples,
        first=first,
    )


def bodies_of(
    samples: Sequence[Sample], spec: StoreSpec, dtype: np.dtype[Any]
) -> Iterator[NDArray[np.floating[Any]]]:
    """The normalised frames (M, T, V, C) of checked samples, one after the other.

    Args:
        samples: of at least one frame and person each.
        spec: how they are normalised.
        dtype: in which frames are stored.

    Raises:
        BadInput: a sample cannot be normalised, or not be stored.
    """
    for group in _alike(samples):
        with np.errstate(over="ignore"):
            found = _normalised(group, spec)
        for sample, one in zip(group, found, strict=True):
            with np.errstate(over="ignore"):
                bodies = np.ascontiguousarray(one, dtype)
            if not np.isfinite(bodies).all():
                raise BadInput(
                    f"sample {sample.id!r} has coordinates too large for {dtype}, in which "
                    "they are stored: give pixels (2D) or metres (3D)"
                )
            yield bodies


def _alike(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Some samples at a time, those of a group of the same type."""
    group, rows = list[Sample](), 0
    for sample in samples:
        if group and (rows >= AT_ONCE or sample.keypoint.dtype != group[0].keypoint.dtype):
            yield group
            group, rows = [], 0
        group.append(sample)
        rows += sample.keypoint.shape[0] * sample.keypoint.shape[1]
    if group:
        yield group


def _normalised(samples: Sequence[Sample], spec: StoreSpec) -> list[NDArray[np.floating[Any]]]:
    """The bodies (M, T, V, C) of samples of one type."""
    joints = spec.skeleton.normalise
    known = [without_missing(sample, spec.missing) for sample in samples]
    if spec.normalise.startswith("3d") and joints is not None:
        points, turned = [one.keypoint for one in known], spec.normalise == "3d"
        found = placed_all(points, joints, turned=turned, cut_absent=True)
    else:
        found = [_normalised_alone(one, spec) for one in known]
    if spec.dimension == "2d":
        return found
    # An absent person is all zero in 3D, as padding is: trailing ones are not kept. In 2D a
    # normalised absent person is at the corner (-1, -1), so all stored persons are kept.
    return [
        bodies
        if len(bodies) == 1
        else bodies[: max(np.flatnonzero(bodies.any(axis=(1, 2, 3))), default=0) + 1]
        for bodies in found
    ]


def _normalised_alone(sample: Sample, spec: StoreSpec) -> NDArray[np.floating[Any]]:
    if spec.normalise == "2d" and sample.img_shape is None:
        raise BadInput(
            f"sample {sample.id!r} has no img_shape, to which benchmark.normalise=2d scales key "
            "points; give (height, width) in pixels, or set benchmark.normalise=none"
        )
    return normalise(
        sample.keypoint,
        sample.score,
        mode=spec.normalise,
        img_shape=sample.img_shape,
        joints=spec.skeleton.normalise,
    )
