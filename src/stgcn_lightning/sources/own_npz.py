"""This package's own form of a recording: an .npz archive of numpy.

==============  ==========================  ============================================
key             shape                       meaning
==============  ==========================  ============================================
``keypoint``    (M, T, V, C), or (T, V, C)  coordinates; NaN or all zero: not found
``score``       (M, T, V), or (T, V)        confidence in [0, 1]
``joints``      (V,) text                   names of the joints
``skeleton``    text                        name of the skeleton
``img_shape``   (2,)                        height and width in pixels
``fps``         one number                  frames per second
``unit``        text                        pixels, picture, signed, metres, ...
``y``           text                        down (as in 2D), up (as in 3D)
``frames``      (T,) whole numbers          numbers of the frames, increasing
``persons``     (M,) text                   names of the persons
==============  ==========================  ============================================

Only ``keypoint`` must be there. The JSON form (`own_json`) has the same keys.
"""

from pathlib import Path
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.numpy_files import most_unpacked, opened_npz
from stgcn_lightning.sources.own_form import recording_of
from stgcn_lightning.sources.recordings import Reading, Recording


def recognise(path: Path) -> str | None:
    """See `formats`."""
    return "it is an .npz with keypoint" if "keypoint" in names_of_arrays(path) else None


def names_of_arrays(path: Path) -> list[str]:
    """The names of the arrays in an .npz file; none where it is no such file, or damaged."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return []
    try:
        with opened_npz(path, "") as archive:
            return archive.names
    except BadInput:
        return []


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`."""
    return [recording_of(arrays(path), path.stem, str(path), reading)]


def arrays(path: Path) -> dict[str, Any]:
    """All arrays of an .npz file of plain numbers and text.

    Raises:
        BadInput: it is damaged, too large, or holds Python objects.
    """
    with opened_npz(path, "write it again") as archive:
        left, found = most_unpacked(path), dict[str, Any]()
        for name in archive.names:
            found[name] = array = archive.read(name, left)
            left -= array.nbytes
        return found
