"""Skeletons that lie one after the other, each with its frame: what PYSKL has of Kinetics-400.

Instead of `keypoint` (M, T, V, C) and `keypoint_score`, a record of such annotations holds

    raw_file     name of another pickle, a dict of frame_dir -> {"keypoint": (N, V, 3)}, of x, y and
                 score of N skeletons; or the record holds such a `keypoint` itself
    frame_inds   (N,) the frame that each skeleton is of
    box_score    (N,) how sure the detector was of each; where there are none, all are kept

Assembled, a skeleton is a person by its place among those of its frame; nobody is tracked. As in
PYSKL (DecompressPose), frames without anyone are left out, numbers become float16, and where a
frame has more than `CROWD` persons, those of each frame are sorted by their scores.

Axes: N skeletons, M persons, T frames, V joints, C coordinates.
"""

from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.placed import Placed
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.taking import guarded
from stgcn_lightning.sources.annotations import Annotations, Malformed
from stgcn_lightning.sources.keeping import CROWD, Keeping

TRAIN = "train"  # the split that `Keeping.valid_ratio` is of
LISTS = ("frame_inds", "box_score")
MOST_FRAMES = 1 << 32  # of a video: two years at 60 a second
HALF = np.dtype(np.float16)
Listed = NDArray[Any] | Placed  # in memory, or in a file


class KeyPointsApart(BadInput):
    """Key points that annotations have in other files, which are not there."""


class FrameLists:
    """Reads records of skeletons that lie one after the other.

    Args:
        path: of the annotations; files of key points lie in its folder, or in folders there.
        file: the annotations, open.
        keeping: which skeletons are kept.
    """

    def __init__(self, path: AnyPath, file: IO[bytes], keeping: Keeping) -> None:
        self.path, self.folder, self.file, self.keeping = path, Path(path).parent, file, keeping
        self.records = 0  # that are such lists
        self.apart: dict[str, tuple[Path, dict[Any, Any]]] = {}  # of each raw_file
        self.sparse: set[str] = set()  # ids of those that show somebody in too few frames

    def assembled(
        self, id: str, record: dict[str, Any], total_frames: int | None
    ) -> tuple[Placed, Placed]:
        """Key points (M, T, V, 2) and scores (M, T, V) of a record, read when they are needed.

        Args:
            id: of the sample.
            record: as the file has it.
            total_frames: of the video, if the file says it.

        Raises:
            Malformed: it is not built as the format says.
            KeyPointsApart: its file of key points is not there.
        """
        self.records += 1
        path, skeletons = self._skeletons(id, record)
        frames = _listed(record["frame_inds"], "frame_inds", 1, "iu", "(skeletons,) of integers")
        boxes = record.get("box_score")
        if boxes is not None:
            boxes = _listed(boxes, "box_score", 1, "f", "(skeletons,) of floats")
        for key, one in zip(LISTS, (frames, boxes), strict=True):
            if one is not None and one.shape[0] != skeletons.shape[0]:
                raise Malformed(
                    f"has {skeletons.shape[0]} skeletons but {one.shape[0]} {key}; give one for "
                    "each skeleton"
                )
        found = FrameList(skeletons, frames, boxes, self.keeping)
        time, _ = found.times(self.file)
        counts = np.bincount(time)
        shape = (min(int(counts.max(initial=0)), self.keeping.persons), len(counts))
        if self.keeping.valid_ratio and total_frames is None:
            raise Malformed(
                "has no total_frames, of which benchmark.source.valid_ratio is a share; add it"
            )
        if total_frames is not None and not 0 < total_frames < MOST_FRAMES:
            raise Malformed(
                f"has total_frames {brief(total_frames)}; give the number of the video's frames"
            )
        if len(counts) < self.keeping.valid_ratio * (total_frames or 0):
            self.sparse.add(id)
        joints = skeletons.shape[1]
        return (
            Assembled(path, found, (*shape, joints, 2)),
            Assembled(path, found, (*shape, joints)),
        )

    def kept(self, annotations: Annotations) -> Annotations:
        """The annotations, but in `TRAIN` no samples that show somebody in too few frames.

        Raises:
            BadInput: none is left.
        """
        if not self.records:
            return replace(annotations, remarks=self._without_effect())
        before = annotations.splits.get(TRAIN, [])
        trained = [id for id in before if id not in self.sparse]
        if len(trained) == len(before):
            return annotations
        few = (
            f"show somebody in less than {self.keeping.valid_ratio:g} of their frames "
            f"(benchmark.source.valid_ratio) in boxes of {self.keeping.box_score:g} and more "
            "(benchmark.source.box_score)"
        )
        if not trained:
            raise BadInput(
                f"all {len(before)} samples of the split {TRAIN!r} of {self.path} {few}: set one "
                "of the two lower"
            )
        splits = annotations.splits | {TRAIN: trained}
        left = self.sparse.difference(*splits.values())
        samples = [one for one in annotations.samples if one.id not in left]
        some = len(before) - len(trained)
        remark = f"{some} of {len(before)} samples of the split {TRAIN!r} are left out: they {few}"
        return replace(annotations, samples=samples, splits=splits, remarks=(remark,))

    def _without_effect(self) -> tuple[str, ...]:
        """A sentence on the options that are given, and are of frame lists; none if none is."""
        plain = asdict(Keeping())
        given = [
            f"benchmark.source.{key}={value}"
            for key, value in asdict(self.keeping).items()
            if value != plain[key]
        ]
        if not given:
            return ()
        return (
            f"{' and '.join(given)} had no effect: {self.path} has no skeletons that lie one after "
            "the other, each with its frame in frame_inds",
        )

    def _skeletons(self, id: str, record: dict[str, Any]) -> tuple[Path, Listed]:
        """The skeletons of a record, and the file that they are in."""
        axes = "(skeletons, joints, 3), of x, y and score"
        if record.get("keypoint") is not None:
            path, skeletons = Path(self.file.name), record["keypoint"]
        elif record.get("raw_file") is not None:
            path, held = self._file(record["raw_file"])
            if not isinstance(held.get(id), dict) or "keypoint" not in held[id]:
                raise Malformed(
                    f"has its key points in {path}, which holds none of that name; copy that file "
                    "again"
                )
            skeletons = cast(dict[str, Any], held[id])["keypoint"]
        else:
            raise Malformed(f"has frame_inds but neither keypoint {axes}, nor raw_file; add one")
        skeletons = _listed(skeletons, "keypoint", 3, "f", axes)
        if skeletons.shape[2] != 3:
            raise Malformed(f"has a keypoint of shape {skeletons.shape}; it must be {axes}")
        return path, skeletons

    def _file(self, name: Any) -> tuple[Path, dict[Any, Any]]:
        """The file of key points that is called `name`, and what it holds.

        The name comes from whoever wrote the annotations, on another machine: its end is looked for
        below the folder of the annotations, the longest first, and nowhere else.
        """
        if not isinstance(name, str) or name not in self.apart:
            path = _below(self.folder, name)
            held = read_pickle(path, in_place=("keypoint",))
            if not isinstance(held, dict):
                raise BadInput(
                    f"{path} is a {type(held).__name__} and no dict of key points by frame_dir; "
                    "copy it again"
                )
            self.apart[name] = path, cast(dict[Any, Any], held)
        return self.apart[name]


def _below(folder: Path, name: Any) -> Path:
    parts = PurePosixPath(str(name).replace("\\", "/")).parts
    if not isinstance(name, str) or not parts or ".." in parts or "\0" in name:
        raise Malformed(f"has the raw_file {name!r:.60}; give the name of a file below {folder}")
    for first in range(len(parts)):
        path = folder.joinpath(*(part for part in parts[first:] if part != "/"))
        try:
            if path.is_file():
                return path
        except OSError:  # a name that is too long
            continue
    raise KeyPointsApart(
        f"the key points of the annotations in {folder} lie apart, and there is no {name} there: "
        f"copy the files of key points to {folder / '/'.join(parts[-2:-1])}"
    )


def _listed(value: Any, key: str, ndim: int, kinds: str, axes: str) -> Listed:
    if not isinstance(value, np.ndarray | Placed):
        raise Malformed(f"has a {type(value).__name__} as {key}; give a numpy array {axes}")
    array = cast(Listed, value)
    if array.ndim != ndim or array.dtype.kind not in kinds:
        raise Malformed(
            f"has a {key} of {array.dtype} and shape {array.shape}; give an array {axes}"
        )
    return array


class FrameList:
    """The skeletons of a sample, each with its frame.

    Args:
        skeletons: (N, V, 3).
        frames: (N,).
        boxes: (N,); None: none are left out.
        keeping: which skeletons are kept.
    """

    __slots__ = ("boxes", "frames", "keeping", "skeletons")

    def __init__(
        self, skeletons: Listed, frames: Listed, boxes: Listed | None, keeping: Keeping
    ) -> None:
        self.skeletons, self.frames, self.boxes, self.keeping = skeletons, frames, boxes, keeping

    def times(self, file: IO[bytes]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The place in time of each skeleton that is kept, and which ones are (N,).

        Args:
            file: the annotations.
        """
        frames = _read(self.frames, file)
        kept = np.ones(len(frames), bool)
        if self.boxes is not None:
            kept = _read(self.boxes, file) >= self.keeping.box_score
        return np.unique(frames[kept], return_inverse=True)[1], kept

    def placed(self, file: IO[bytes]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.floating]]:
        """Person and place in time of skeletons, and these skeletons, all in order of time.

        Args:
            file: the one that the skeletons are in.
        """
        index = self.frames if isinstance(self.frames, Placed) else self.boxes
        if isinstance(index, Placed):
            with opened(index.path) as annotations:
                time, kept = self.times(annotations)
        else:
            time, kept = self.times(file)
        with np.errstate(over="ignore"):  # infinity is refused as a coordinate
            skeletons = _read(self.skeletons, file)[kept].astype(HALF)
        counts = np.bincount(time)
        crowded = counts.max(initial=0) > CROWD
        by_score = -skeletons[..., 2].sum(-1) if crowded else np.zeros(len(time))
        order = np.lexsort((by_score, time))  # stable
        person = np.arange(len(time)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = person < self.keeping.persons
        return person[first], time[order][first], skeletons[order][first]


class Assembled(Placed):
    """Key points (M, T, V, 2), or scores (M, T, V), made of a frame list.

    Args:
        path: of the file that the skeletons are in.
        frame_list: they and their frames.
        shape: of the array; three axes are scores.
    """

    __slots__ = ("frame_list",)

    def __init__(self, path: AnyPath, frame_list: FrameList, shape: tuple[int, ...]) -> None:
        super().__init__(path, shape, HALF, int(np.prod(shape)) * HALF.itemsize)
        self.frame_list = frame_list

    def read(self, file: IO[bytes]) -> np.ndarray:
        """The array, from the file that the skeletons are in, which is open.

        Raises:
            BadInput: the file is damaged, or has changed.
        """
        return guarded(lambda: self._read(file), self.path, "annotations")

    def _read(self, file: IO[bytes]) -> np.ndarray:
        person, time, skeletons = self.frame_list.placed(file)
        found = np.zeros(self.shape, HALF)
        found[person, time] = skeletons[..., 2] if len(self.shape) == 3 else skeletons[..., :2]
        return found


def _read(array: Listed, file: IO[bytes]) -> NDArray[Any]:
    return array.read(file) if isinstance(array, Placed) else array
