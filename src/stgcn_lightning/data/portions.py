"""What is done to the samples of a store, a portion of them at a time.

Neither torch nor anything else that takes long to import is needed here: `helpers` does this in
processes of its own.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.checks import COORDINATES, sample_faults
from stgcn_lightning.data.missing import without_missing
from stgcn_lightning.data.normalise import normalise
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample, loaded

CHANNELS = 3


@dataclass(frozen=True)
class Prepared:
    """What is known of the samples of a portion that were prepared.

    Attributes:
        shapes: (persons, frames) that are stored of each.
        survey: they were added to it.
    """

    shapes: list[tuple[int, int]]
    survey: Survey


class Portions:
    """Portions of the samples, and what can be asked of them.

    Args:
        spec: how samples are checked and normalised.
        frames: the file that frames are written to.
    """

    def __init__(self, spec: StoreSpec, frames: Path) -> None:
        self.spec, self.frames = spec, frames
        self.samples: dict[int, Sequence[Sample]] = {}
        self.bodies: list[NDArray[np.floating[Any]]] = []

    def faults(self, number: int, samples: Sequence[Sample]) -> dict[str, str]:
        """What is wrong with the samples of portion `number`, which are kept."""
        self.samples[number] = samples
        return faults_of(samples, self.spec)

    def prepare(
        self, number: int, dropped: frozenset[str], first: int, count: int, dtype: np.dtype[Any]
    ) -> Prepared:
        """Normalise the samples of portion `number` and count what is in them.

        Args:
            number: of the portion.
            dropped: ids of bad samples, which are left out.
            first: number of the first sample among all that are stored.
            count: how many these are.
            dtype: of the stored frames.
        """
        samples = [one for one in self.samples.pop(number) if one.id not in dropped]
        survey = survey_of(self.spec, count, first)
        self.bodies = list(bodies_of(samples, self.spec, dtype, survey))
        survey.counts()  # of all that wait
        return Prepared([bodies.shape[:2] for bodies in self.bodies], survey)

    def write(self, start: int) -> None:
        """Write the frames of the portion that was prepared last, from byte `start` on."""
        with self.frames.open("r+b") as file:
            file.seek(start)
            for bodies in self.bodies:
                file.write(bodies.data)
        self.bodies = []


def faults_of(samples: Sequence[Sample], spec: StoreSpec) -> dict[str, str]:
    """`checks.sample_faults` of samples whose arrays may be in a file."""
    return sample_faults(
        loaded(samples),
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
    samples: Sequence[Sample], spec: StoreSpec, dtype: np.dtype[Any], survey: Survey | None = None
) -> Iterator[NDArray[np.floating[Any]]]:
    """The normalised frames (M, T, V, C) of checked samples, one after the other.

    Args:
        samples: of at least one frame and person each.
        spec: how they are normalised.
        dtype: in which frames are stored.
        survey: they are added to it.

    Raises:
        BadInput: a sample cannot be normalised, or not be stored.
    """
    for sample in loaded(samples):
        with np.errstate(over="ignore"):
            bodies = np.ascontiguousarray(_normalised(sample, spec), dtype)
        if not np.isfinite(bodies).all():
            raise BadInput(
                f"sample {sample.id!r} has coordinates too large for {dtype}, in which "
                "they are stored: give pixels (2D) or metres (3D)"
            )
        if survey is not None:
            survey.add(sample)
        yield bodies


def _normalised(sample: Sample, spec: StoreSpec) -> NDArray[np.floating[Any]]:
    if spec.normalise == "2d" and sample.img_shape is None:
        raise BadInput(
            f"sample {sample.id!r} has no img_shape, to which benchmark.normalise=2d scales key "
            "points; give (height, width) in pixels, or set benchmark.normalise=none"
        )
    known = without_missing(sample, spec.missing)
    bodies = normalise(
        known.keypoint,
        known.score,
        mode=spec.normalise,
        img_shape=sample.img_shape,
        joints=spec.skeleton.normalise,
        cut_absent=True,
    )
    if spec.dimension == "3d" and len(bodies) > 1:
        # An absent person is all zero in 3D, as padding is: trailing ones are not kept. In 2D a
        # normalised absent person is at the corner (-1, -1), so all stored persons are kept.
        bodies = bodies[: max(np.flatnonzero(bodies.any(axis=(1, 2, 3))), default=0) + 1]
    return bodies
