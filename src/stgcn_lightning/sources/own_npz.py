"""This package's own form of a recording: an .npz archive of numpy.

=============  ==========================  ============================================
key            shape                       meaning
=============  ==========================  ============================================
``keypoint``   (M, T, V, C), or (T, V, C)  coordinates; NaN or all zero: not found
``score``      (M, T, V), or (T, V)        confidence in [0, 1]; may be left out
``joints``     (V,) text                   names of the joints; may be left out
``skeleton``   text                        name of the skeleton; may be left out
``img_shape``  (2,)                        height and width in pixels; may be left out
``fps``        one number                  frames per second; may be left out
=============  ==========================  ============================================
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return "it is an .npz with keypoint" if "keypoint.npy" in archive.namelist() else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            content: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be read as .npz ({error}); write it again") from None
    keypoint = content["keypoint"]
    if keypoint.ndim not in (3, 4) or keypoint.shape[-1] not in (2, 3):
        raise BadInput(
            f"{path} has keypoint of shape {keypoint.shape}; give (persons, frames, joints, 2 or 3)"
        )
    if keypoint.ndim == 3:
        keypoint = keypoint[None]
    score = content.get("score")
    V = keypoint.shape[2]
    return [
        Recording(
            id=path.stem,
            keypoint=as_float32(keypoint),
            score=None if score is None else as_float32(score).reshape(keypoint.shape[:3]),
            joints=tuple(str(name) for name in content.get("joints", np.arange(V))),
            skeleton=str(content["skeleton"]) if "skeleton" in content else reading.skeleton,
            img_shape=_two(content.get("img_shape")) or reading.img_shape,
            fps=float(content["fps"]) if "fps" in content else reading.fps,
        )
    ]


def _two(sides: NDArray[Any] | None) -> tuple[int, int] | None:
    return None if sides is None else (int(sides[0]), int(sides[1]))
