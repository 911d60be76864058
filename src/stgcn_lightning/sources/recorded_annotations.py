"""Annotations of MMAction2 and PYSKL (`mmaction2`) as recordings, without their labels and splits.

2D in pixels, 3D in metres with y up, as NTU RGB+D has them. Which joints, their number tells: 17 in
2D are coco17, 25 in 3D ntu25; others are of the skeleton that the user says.
"""

from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.joint_names import JOINTS, numbered
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32

SKELETONS = {(17, 2): "coco17", (18, 2): "openpose18", (25, 3): "ntu25"}


def recognise(path: Path) -> str | None:
    """See `formats`."""
    pickled = path.suffix.lower() in (".pkl", ".pickle") and path.is_file()
    return "it is a pickle, as MMAction2 and PYSKL have annotations" if pickled else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: the pickle cannot be read, or a sample has neither 2 nor 3 coordinates, or scores
            that do not fit its key points.
    """
    found: list[Recording] = []
    for sample in read_annotations(path).samples:
        V, C = sample.keypoint.shape[2:]
        if C not in (2, 3):
            raise BadInput(f"sample {sample.id} of {path} has {C} coordinates; give 2 or 3")
        if sample.score is not None and sample.score.shape != sample.keypoint.shape[:3]:
            raise BadInput(
                f"sample {sample.id} of {path} has key points of {sample.keypoint.shape} but "
                f"scores of {sample.score.shape}; correct it"
            )
        skeleton = reading.skeleton or SKELETONS.get((V, C))
        names = JOINTS.get(skeleton or "", ())
        found.append(
            Recording(
                id=f"{path.stem}:{sample.id}",
                keypoint=as_float32(sample.keypoint),
                score=None if sample.score is None else as_float32(sample.score),
                joints=names if len(names) == V else numbered(V),
                skeleton=skeleton,
                unit="pixels" if C == 2 else "metres",
                y="down" if C == 2 else "up",
                img_shape=sample.img_shape,
                img_shape_assumed=sample.img_shape_assumed,
            )
        )
    return found
