"""What decides, besides the annotations, what a store holds."""

from dataclasses import dataclass
from typing import Any, Literal

from stgcn_lightning.data.missing import check_missing
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.registry import Source, source_named

VERSION = 2  # of the stores' form
MMACTION2 = source_named("mmaction2")


@dataclass(frozen=True)
class StoreSpec:
    """Everything but the annotation file that decides what is in a store.

    Args:
        skeleton: the joints of every body.
        dimension: ``2d`` or ``3d``.
        normalise: ``2d``, ``3d`` or ``none``.
        classes: number of classes; labels are checked against it.
        on_bad_sample: ``error``, or ``drop`` to leave bad samples out, counted and reported.
        source: what reads the annotation file.
        missing: what becomes of joints that were not found: ``error``, ``zero``, ``interpolate``.

    Raises:
        BadInput: `missing` is none of these.
    """

    skeleton: Skeleton
    dimension: Literal["2d", "3d"]
    normalise: str
    classes: int
    on_bad_sample: Literal["error", "drop"] = "error"
    source: Source = MMACTION2
    missing: str = "error"

    def __post_init__(self) -> None:
        check_missing(self.missing)

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
        return described
