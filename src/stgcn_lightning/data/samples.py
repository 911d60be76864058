"""What somebody asks about, an array or a recording -> a sample, or what is wrong with it.

Axes: M persons, T frames, V joints, C coordinates.
"""

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.thresholds import SCALED, SMALLEST_PICTURE
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.recordings import Recording

Recorded = NDArray[np.floating[Any]] | Tensor | Sample | Recording


def sample_of(one: Any, number: int, spec: StoreSpec, img_shape: tuple[int, int] | None) -> Sample:
    """A recording as a sample of any label, which a store checks further.

    Args:
        one: an array or tensor (M, T, V, C), with scores as a third channel of 2D key points if
            there are scores; a `Sample`; or a settled `Recording`.
        number: names an array.
        spec: joints, coordinates and normalisation of the model.
        img_shape: (height, width) of the pictures of an array.

    Raises:
        BadInput: it is something else, has other joints, or is scaled already.
    """
    if isinstance(one, Recording):
        one = settled_sample(one, spec.skeleton)
    if isinstance(one, Sample):  # the same one may come twice
        return replace(one, id=f"{one.id} (recording {number})", label=0)
    keypoint, score = _array(one, number), None
    if spec.dimension == "2d" and keypoint.shape[-1] == 3:
        keypoint, score = keypoint[..., :2], keypoint[..., 2]
    if spec.normalise == "2d":
        refuse_scaled(keypoint, img_shape, f"recording {number}")
    return Sample(f"recording {number}", 0, keypoint, score, img_shape)


def _array(one: object, number: int) -> NDArray[np.floating[Any]]:
    if isinstance(one, Tensor):
        one = one.detach().cpu().numpy()
    if not isinstance(one, np.ndarray):
        raise BadInput(f"recording {number} is a {type(one).__name__}: give an array (M, T, V, C)")
    array = cast(NDArray[np.floating[Any]], one)
    if array.ndim != 4:
        alone = ", of one person keypoints[None]" if array.ndim == 3 else ""
        raise BadInput(
            f"recording {number} has shape {array.shape}: give an array (M, T, V, C){alone}"
        )
    if array.dtype.kind not in "fiu":
        raise BadInput(
            f"recording {number} holds {array.dtype}, no coordinates: give an array of float32"
        )
    return array.astype(np.float32) if array.dtype.kind in "iu" else array


def refuse_scaled(
    keypoint: NDArray[np.floating[Any]], img_shape: tuple[int, int] | None, what: str
) -> None:
    """Refuse 2D key points (..., 2) that are all within two pixels of the corner.

    Raises:
        BadInput: they have been divided by the size of the picture.
    """
    if img_shape is None or not keypoint.size or max(img_shape) <= SMALLEST_PICTURE:
        return
    reach = float(np.nan_to_num(np.abs(keypoint), posinf=np.inf).max())
    if 0 < reach <= SCALED:
        raise BadInput(
            f"{what} has key points within {reach:.3g} of 0, where pixels of a picture of "
            f"{img_shape[0]} x {img_shape[1]} are expected: multiply what is scaled already by the "
            "picture's width and height"
        )


def settled_sample(one: Recording, skeleton: Skeleton) -> Sample:
    """A recording as a sample, if its joints are those of the model.

    Raises:
        BadInput: they are others, or what the file left open is not decided yet.
    """
    if not one.settled:
        raise BadInput(
            f"recording {one.id} is as its file says, units and missing joints undecided: read "
            "it with sources.formats.read_recordings"
        )
    if one.joints != skeleton.joints and one.skeleton not in (None, skeleton.name):
        raise BadInput(
            f"recording {one.id} has the joints of {one.skeleton}, the checkpoint those of "
            f"{skeleton.name}: map it to them, map={skeleton.name}"
        )
    return one.sample()


def two_sides(img_shape: Any) -> tuple[int, int]:
    """(height, width), both numbers.

    Raises:
        BadInput: it is something else.
    """
    try:
        height, width = (float(side) for side in img_shape if not isinstance(side, str))
        if not (0 < height < np.inf and 0 < width < np.inf) or isinstance(img_shape, str):
            raise ValueError
    except (TypeError, ValueError):
        raise BadInput(
            f"img_shape={img_shape!r} is no size of a picture: give (height, width) in pixels"
        ) from None
    return img_shape[0], img_shape[1]
