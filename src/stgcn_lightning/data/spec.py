"""What decides, besides the annotations, what a store holds."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from stgcn_lightning.data.missing import check_missing
from stgcn_lightning.data.names import MODES
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.registry import Source, source_named

VERSION = 2  # of the stores' form
MMACTION2 = source_named("mmaction2")
KNOWN = {
    "dimension": ("2d", "3d"),
    "normalise": MODES,
    "on_bad_sample": ("error", "drop"),
}


@dataclass(frozen=True)
class StoreSpec:
    """Everything but the annotation file that decides what is in a store.

    Args:
        skeleton: the joints of every body.
        dimension: ``2d`` or ``3d``.
        normalise: one of `names.MODES`, see `data.normalise`.
        classes: number of classes; labels are checked against it.
        on_bad_sample: ``error``, or ``drop`` to leave bad samples out, counted and reported.
        source: what reads the annotation file.
        missing: what becomes of joints that were not found: ``error``, ``zero``, ``interpolate``.
        max_frames: a sample with more frames is bad; None: none is too long.

    Raises:
        BadInput: one of these is none of what it may be, or `normalise` is for other key points.
    """

    skeleton: Skeleton
    dimension: Literal["2d", "3d"]
    normalise: str
    classes: int
    on_bad_sample: Literal["error", "drop"] = "error"
    source: Source = MMACTION2
    missing: str = "error"
    max_frames: int | None = None

    def __post_init__(self) -> None:
        check_missing(self.missing)
        for key, known in KNOWN.items():
            if (value := getattr(self, key)) not in known:
                raise BadInput(f"{key}={value!r} is none of {', '.join(known)}")
        fitting = [mode for mode in MODES if mode.startswith((self.dimension, "none"))]
        if self.normalise not in fitting:
            raise BadInput(
                f"benchmark.normalise={self.normalise} is not for {self.dimension} key points: set "
                f"benchmark.normalise={' or '.join(fitting)}, or choose a benchmark and a recipe "
                "of one dimension"
            )
        if (
            isinstance(self.classes, bool)
            or not isinstance(self.classes, Integral)
            or self.classes < 1
        ):
            raise BadInput(f"classes={self.classes!r} is no number of classes: give len(NAMES)")
        if not isinstance(self.skeleton, Skeleton):  # pyright: ignore
            raise BadInput(
                f"skeleton={self.skeleton!r} is no Skeleton: give skeleton_named({self.skeleton!r})"
            )

    def describe(self) -> dict[str, Any]:
        """Plain values, for the manifest and for the store's name."""
        described: dict[str, Any] = {
            "skeleton": self.skeleton.to_dict(),
            "dimension": self.dimension,
            "normalise": self.normalise,
            "classes": self.classes,
            "on_bad_sample": self.on_bad_sample,
            "version": VERSION,
        }
        # stores of the defaults were named before there was a choice
        if self.source != MMACTION2:
            described["source"] = self.source.name
        if self.missing != "error":
            described["missing"] = self.missing
        if self.max_frames is not None:
            described["max_frames"] = self.max_frames
        return described
