"""What is to be looked at, and what the user says about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stgcn_lightning.shipped import skeletons
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.recordings import Reading

USUAL = ("coco17", "ntu25")  # of several with as many joints, the first that is thought of


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be looked at.

    Attributes:
        path: of the file or folder.
        source: the same as it is printed and typed.
        why: it is taken for what it is, as the end of "because ...".
        reading: what the user says about key-point files.
        skeleton: that of the joints, where the user names it.
        subject: pattern that finds the subject in a sample's id.
    """

    path: Path
    source: str
    why: str
    reading: Reading
    skeleton: Skeleton | None = None
    subject: str | None = None

    def known(self) -> Sequence[Skeleton]:
        """Skeletons that the joints may be of, those in the folder itself first.

        Raises:
            BadInput: one in the folder is damaged.
        """
        if self.skeleton:
            return [self.skeleton]
        own = skeletons(self.path) if self.path.is_dir() else []
        return [*own, *sorted(skeletons(), key=lambda one: one.name not in USUAL)]
