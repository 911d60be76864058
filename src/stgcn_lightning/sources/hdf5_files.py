"""Opening HDF5 files, which DeepLabCut and SLEAP write, with h5py."""

# NumPy's stubs lose the element type when an array changes its shape, and h5py has none:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import mmap
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.reading import opened
from stgcn_lightning.sources.detections import MOST_VALUES

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAP = b"GCOL\1\0\0\0"  # how one begins that holds texts
MOST_NAMES = 1 << 20  # of joints, tracks or columns
# bytes that a data set may take, however little of the file it is, and so many times its part of
# the file: tracks that are mostly NaN are packed to a hundredth
MOST_FREE, MOST_UNPACKED = 1 << 24, 256
EXTRA = 'pip install "stgcn_lightning[formats]"'


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    with opened(path) as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def hdf5(path: Path) -> Generator[Any, None, None]:
    """An HDF5 file, opened for reading.

    Raises:
        BadInput: h5py is missing, or the file or a part of it cannot be read.
    """
    try:
        import h5py
    except ImportError:
        raise BadInput(f"{path} is an HDF5 file, which needs h5py: {EXTRA}") from None
    try:
        _refuse_endless_heaps(path)
        with h5py.File(path, "r") as file:
            _refuse_other_files(file, path)
            yield file
    except BadInput:
        raise
    except Exception as error:  # damaged files raise nearly anything
        detail = " ".join(str(error).split())[:200]
        raise BadInput(f"{path} cannot be read as HDF5 ({detail}); copy it again") from None


def _refuse_endless_heaps(path: Path) -> None:
    """Refuse a heap of texts in which HDF5 would look for its next entry without end.

    It goes on by what an entry says to take, also if that is nothing.

    Raises:
        ValueError: there is one.
    """
    with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 14 if content[8] < 2 else 10  # of the size of lengths, by the version
        if content[at] != 8:
            raise ValueError("lengths that are not of 8 bytes")
        start = content.find(HEAP)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            place, end = start + 16, min(start + size, len(content))
            while place + 16 <= end:
                index, taken = struct.unpack_from("<H6xQ", content, place)
                place += taken if index == 0 else 16 + -(-taken // 8) * 8  # 0 is what is free
                if (not taken and index == 0) or place > end:
                    raise ValueError("a heap whose entries do not fit into it")
            start = content.find(HEAP, start + len(HEAP))


def _refuse_other_files(file: Any, path: Path) -> None:
    """Refuse links to other files, and data sets whose numbers lie there: the file is anybody's."""
    import h5py

    def elsewhere(name: str, link: Any) -> str | None:
        found = file[name] if isinstance(link, h5py.HardLink) else link
        if isinstance(found, h5py.Dataset):
            return name if found.external or found.is_virtual else None
        return name if isinstance(found, h5py.ExternalLink) else None

    name = file.visititems_links(elsewhere)
    if name is not None:
        raise BadInput(
            f"{path}: its {brief(name)} is in another file, which is not opened because this one "
            "says so; write a file that holds all"
        )


def bounded(dataset: Any, about: str) -> Any:
    """A data set that does not take much more memory than its part of the file.

    Raises:
        BadInput: it does.
    """
    numbers = int(np.prod(dataset.shape, dtype=object))
    most = MOST_FREE + MOST_UNPACKED * int(dataset.id.get_storage_size())
    if numbers > MOST_VALUES or numbers * dataset.dtype.itemsize > most:
        raise BadInput(
            f"{about} has {' x '.join(map(str, dataset.shape))} numbers; divide the recording"
        )
    return dataset


def values(dataset: Any, about: str, *, ndim: int) -> NDArray[Any]:
    """All numbers of a data set of so many axes.

    Raises:
        BadInput: it has another number of axes, holds no numbers, or is too large.
    """
    shape = getattr(dataset, "shape", None)
    kind = getattr(getattr(dataset, "dtype", None), "kind", "")
    if shape is None or len(shape) != ndim or kind not in "fiu":
        raise BadInput(f"{about} is not an array of numbers with {ndim} axes; write it again")
    return np.asarray(bounded(dataset, about)[()])


def entries(dataset: Any) -> NDArray[Any]:
    """A data set of names or indices, of which there are few.

    Raises:
        ValueError: there are more than such files ever have.
    """
    if dataset.size > MOST_NAMES:
        raise ValueError(f"{dataset.name} has {dataset.size:,} entries")
    return np.asarray(dataset[()])


def texts(dataset: Any) -> tuple[str, ...]:
    """A data set of names."""
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in entries(dataset).ravel().tolist()
    )
