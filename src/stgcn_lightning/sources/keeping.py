"""Which skeletons of a frame list are kept (`frame_lists`): options of the source ``mmaction2``.

Importing this file imports neither numpy nor torch.
"""

from dataclasses import dataclass
from typing import Any

from stgcn_lightning.errors import BadInput

CROWD = 10  # persons of a frame that PYSKL keeps at most


@dataclass(frozen=True)
class Keeping:
    """What is kept of skeletons that lie one after the other, each with its frame.

    Args:
        box_score: skeletons in boxes of a lower confidence are left out (PYSKL: box_thr).
        valid_ratio: samples of the split `train` are left out that show somebody in a smaller share
            of their frames (PYSKL: valid_ratio, of its training data alone).
        persons: of a frame at most.

    Raises:
        BadInput: one of these is no number of its range.
    """

    box_score: float = 0.0
    valid_ratio: float = 0.0
    persons: int = CROWD

    def __post_init__(self) -> None:
        for name in ("box_score", "valid_ratio"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise BadInput(f"benchmark.source.{name}={value!r} must be a number from 0 to 1")
        most: Any = self.persons
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= CROWD:
            raise BadInput(
                f"benchmark.source.persons={most!r} must be a whole number from 1 to {CROWD}"
            )
