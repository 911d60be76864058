"""The formats of key-point files, one reader a file: which there are, and which one a file is in.

A reader is a module of this room. Of a format that is not JSON it has two functions:

- ``recognise(path) -> str | None``: why the file `path` is in its format, in a few words that
  complete "because ..."; None if it is not. It reads no more than it needs.
- ``read(path, reading) -> list[Recording]``: what it holds (see `recordings`), not settled. Wrong
  content is refused with a BadInput that names file, place, value and remedy. An id begins with
  ``path.stem``; of several recordings in a file, each has its own after a colon.

Where a file may hold one frame (`Format.frames`), both take a folder of such files as well.

Of a format in JSON, the file has been parsed (`json_text`):

- ``recognise(content) -> str | None``;
- ``read(content, id, about, reading) -> list[Recording]``: `id` for the recordings, `about` for the
  sentences of errors;
- where a file may hold one frame (`Format.frames`), besides ``is_frame(content) -> bool``,
  ``people(content, about) -> list[Detection]`` and, of all files of a video in a folder,
  ``recording(frames, id, about, reading) -> Recording``.

Importing this file imports neither numpy nor a reader.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stgcn_lightning.errors import BadInput, nearest

if TYPE_CHECKING:
    from stgcn_lightning.sources.recordings import Reading, Recording


@dataclass(frozen=True)
class Format:
    """A format of key-point files.

    Attributes:
        module: of its reader, in this room.
        about: what writes it, and how its files are called.
        json: its files are JSON.
        frames: the ending of files that may be one frame each, a folder of which is one recording.
    """

    module: str
    about: str
    json: bool = False
    frames: str = ""


# the more particular ones first: the first that recognises a file reads it
FORMATS = {
    "npz": Format("own_npz", "this package's own form: .npz with keypoint (docs/sources.md)"),
    "json": Format("own_json", "this package's own form as .json or .jsonl", json=True),
    "annotations": Format("recorded_annotations", "MMAction2's and PYSKL's pickles"),
    "pose": Format("pose_files", "pose-format's .pose"),
    "h36m": Format("h36m_npz", "Human3.6M as VideoPose3D packs it: data_3d_h36m.npz"),
    "deeplabcut": Format("deeplabcut", "DeepLabCut's and Lightning Pose's .h5 and .csv"),
    "sleap": Format("sleap", "SLEAP's analysis .h5 and .csv"),
    "bvh": Format("bvh", "motion capture, .bvh"),
    "c3d": Format("c3d_files", "motion capture, .c3d"),
    "trc": Format("trc", "markers of OpenSim, Pose2Sim and others, .trc"),
    "mediapipe": Format("mediapipe", "tables of MediaPipe's landmarks: x1, y1, z1, v1, ..., v33"),
    "mediapipe_json": Format("mediapipe_json", "MediaPipe's results as JSON", json=True),
    "mediapipe_numpy": Format(
        "mediapipe_numpy", "arrays of landmarks, .npy or .npz, of a frame or of all", frames=".npy"
    ),
    "mediapipe_parquet": Format("mediapipe_parquet", "Kaggle's tables of MediaPipe Holistic"),
    "openpose": Format(
        "openpose", "OpenPose --write_json: a .json a frame", json=True, frames=".json"
    ),
    "coco": Format("coco", "COCO's annotations and results; COCO-WholeBody", json=True),
    "alphapose": Format("alphapose", "AlphaPose's alphapose-results.json; Halpe", json=True),
    "mmpose": Format("mmpose", "MMPose's predictions", json=True, frames=".json"),
    "ultralytics": Format(
        "ultralytics_json", "Ultralytics' to_json(): a .json a frame", json=True, frames=".json"
    ),
    "ultralytics_txt": Format(
        "ultralytics_txt", "Ultralytics' save_txt: a .txt a frame", frames=".txt"
    ),
    "csv": Format("own_csv", "this package's own form as a table (docs/sources.md)"),
}
# files of other endings in a folder are no key points: pictures, videos, notes
ENDINGS = (
    ".json", ".jsonl", ".npz", ".npy", ".csv", ".parquet", ".pkl", ".pickle", ".pose", ".h5",
    ".hdf5", ".bvh", ".c3d", ".trc",
)  # fmt: skip


class Found(NamedTuple):
    """A file, or a folder of frames, in which there are recordings.

    Attributes:
        path: of it.
        format: its name in `FORMATS`.
        why: it is taken for that, in words that complete "because ..."; empty where the user says.
    """

    path: Path
    format: str
    why: str


def reader_of(name: str) -> Any:
    """The module that reads a format.

    Raises:
        BadInput: there is no such format.
    """
    if name not in FORMATS:
        raise BadInput(f"reading.format={name}: {nearest(name, ['auto', *FORMATS])}")
    return importlib.import_module(f"stgcn_lightning.sources.{FORMATS[name].module}")


def recognised(path: Path) -> tuple[str, str]:
    """The format of a file or folder of frames, and why it is taken for that.

    Raises:
        BadInput: it is in none that is known, or cannot be read.
    """
    from stgcn_lightning.sources.json_text import read_json

    content, json = None, path.suffix.lower() in (".json", ".jsonl") and path.is_file()
    if json:
        content = read_json(path)
    for name, known in FORMATS.items():
        if known.json:
            why = reader_of(name).recognise(content) if json else None
        else:
            why = reader_of(name).recognise(path)
        if why:
            return name, why
    raise BadInput(f"{path}{_kind(path)} is in no known format of key points: {_remedy()}")


def _kind(path: Path) -> str:
    """What a file is instead, as part of a sentence."""
    from stgcn_lightning.files.kinds import kind_of
    from stgcn_lightning.sources.own_npz import names_of_arrays

    kind = kind_of(path) if path.is_file() else None
    if path.suffix.lower() == ".npz" and not names_of_arrays(path):
        kind = kind or "a damaged .npz archive"
    return f" is {kind}, which" if kind and kind != "a JSON file" else ""


def _remedy() -> str:
    return f"name it, reading.format=NAME of {', '.join(FORMATS)}, or move the file away"


def list_recordings(path: Path, reading: "Reading", faults: list[str] | None = None) -> list[Found]:
    """The files and folders of frames at `path` and below, sorted by name, without reading them.

    Args:
        path: a file; a folder that is one recording (a file a frame); or a folder, with folders in
            it, of such.
        reading: names the format, where it is not ``auto``.
        faults: takes the sentences about files of a folder that would be refused.

    Raises:
        BadInput: there is nothing, or a file that ends like key points (`ENDINGS`) is in no known
            format.
    """

    def keep(_: Path, error: BadInput) -> None:
        if faults is None:
            raise error
        faults.append(str(error))

    return list(find_recordings(path, reading, keep))


def _raise(_: Path, error: BadInput) -> None:
    raise error


def find_recordings(
    path: Path, reading: "Reading", refuse: Callable[[Path, BadInput], None] = _raise
) -> Iterator[Found]:
    """`list_recordings`, each found when its turn comes.

    Args:
        path: as there.
        reading: as there.
        refuse: is given each file in a folder that is in no known format, and the sentence; if it
            returns, the other files follow.

    Raises:
        BadInput: as there; of a file in a folder only if `refuse` raises it.
    """
    if not path.exists():
        raise BadInput(f"there is no file or folder {path}; check the path")
    if path.is_dir():
        faulty: list[Path] = []

        def note(file: Path, error: BadInput) -> None:
            faulty.append(file)
            refuse(file, error)

        found = _in_folder(path, reading, note)
        if (first := next(found, None)) is not None:
            yield first
            yield from found
        elif not faulty:
            raise BadInput(f"{path} has no file of key points ({', '.join(ENDINGS)}); check it")
    else:
        yield _found(path, reading)


def _found(path: Path, reading: "Reading") -> Found:
    if reading.format != "auto":
        reader_of(reading.format)  # or raise
        return Found(path, reading.format, "")
    return Found(path, *recognised(path))


def _in_folder(
    folder: Path, reading: "Reading", refuse: Callable[[Path, BadInput], None]
) -> Iterator[Found]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in ENDINGS]
    whole = None
    try:
        whole = _frames(folder, files, reading)
    except BadInput as error:
        refuse(folder, error)
        files = []
    if whole:
        yield whole
        files = []
    for file in files:
        try:
            yield _found(file, reading)
        except BadInput as error:
            refuse(file, error)
    for entry in entries:
        if entry.is_dir() and not _leads_back(entry):
            yield from _in_folder(entry, reading, refuse)


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it is in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _frames(folder: Path, files: list[Path], reading: "Reading") -> Found | None:
    """The folder, if it holds a file a frame; other files of key points in it are refused."""
    from stgcn_lightning.sources.frame_files import numbered
    from stgcn_lightning.sources.json_text import read_json

    names = [reading.format] if reading.format != "auto" else list(FORMATS)
    jsons = numbered([file for file in files if file.suffix.lower() == ".json"])
    # the first frames may have nobody in them, and be empty lists
    first = next((file for file in jsons if read_json(file) != []), None)
    for name in names:
        reader, ending, why = reader_of(name), FORMATS[name].frames, None
        if not FORMATS[name].json:
            why = reader.recognise(folder) if ending else None
        elif ending and first and reader.is_frame(content := read_json(first)):
            why = f"of {first.name}, a frame, {reader.recognise(content)}"
        if not why:
            continue
        frames = set(numbered([file for file in files if file.suffix.lower() == ending]))
        for file in files:
            if file not in frames:
                raise BadInput(
                    f"{file} is among the frames of a recording, but is none by its name, which "
                    f"would end in a number and {ending}; move it away"
                )
        return Found(folder, name, why)
    return None


def read_recordings(path: Path, reading: "Reading") -> "list[Recording]":
    """What a file or folder holds, settled and with linked persons, in the order of their names.

    Args:
        path: as `list_recordings` takes it.
        reading: what the user says about the files.

    Raises:
        BadInput: nothing there can be read, or one file cannot be.
    """
    recordings = [
        recording
        for found in find_recordings(path, reading)
        for recording in read_found(found, reading, path if path.is_dir() else path.parent)
    ]
    twice = [id for id, times in Counter(one.id for one in recordings).items() if times > 1]
    if twice:
        raise BadInput(f"{path} has two recordings of the name {twice[0]}; rename one of them")
    return recordings


def read_found(found: Found, reading: "Reading", root: Path) -> "list[Recording]":
    """The recordings of one file or folder of frames, settled and with linked persons.

    Args:
        found: one of `list_recordings`.
        reading: what the user says about the files.
        root: folder below which paths become ids.

    Raises:
        BadInput: it cannot be read.
    """
    path, name, _ = found
    recordings: list[Recording]
    if not FORMATS[name].json:
        recordings = reader_of(name).read(path, reading)
    elif path.is_dir():
        recordings = _read_frames(path, name, reading)
    else:
        from stgcn_lightning.sources.json_text import read_json

        recordings = reader_of(name).read(read_json(path), path.stem, str(path), reading)
    below = path.parent.relative_to(root) if path != root else Path()
    return [
        _finished(replace(one, id=(below / one.id).as_posix()), found, reading)
        for one in recordings
    ]


def _read_frames(folder: Path, name: str, reading: "Reading") -> "list[Recording]":
    """One recording of each video whose frames are in a folder."""
    from stgcn_lightning.sources.frame_files import videos
    from stgcn_lightning.sources.json_text import read_json

    reader = reader_of(name)
    found = videos(sorted(folder.glob("*.json")))
    recordings: list[Recording] = []
    for video, files in found.items():
        frames = {
            number: reader.people(read_json(file), str(file)) for number, file in files.items()
        }
        id = f"{folder.name}:{video}" if len(found) > 1 else folder.name
        about = f"{folder} ({len(files)} frames)"
        recordings.append(reader.recording(frames, id, about, reading))
    return recordings


def read_text(text: str | bytes, reading: "Reading", name: str = "-") -> "list[Recording]":
    """The recordings of JSON that comes from elsewhere than a file, such as standard input.

    Args:
        text: one JSON value in any of the formats that are JSON, such as a whole file, or a line of
            JSON Lines.
        reading: what the user says about it.
        name: becomes the recordings' id.

    Raises:
        BadInput: it cannot be read.
    """
    from stgcn_lightning.sources.json_text import parsed

    about = "standard input" if name == "-" else name
    content = parsed(text, about)
    for format, known in FORMATS.items():
        if known.json and reading.format in ("auto", format):
            reader = reader_of(format)
            if why := reader.recognise(content):
                found = Found(Path(about), format, why if reading.format == "auto" else "")
                recordings = reader.read(content, name, about, reading)
                return [_finished(one, found, reading) for one in recordings]
    raise BadInput(f"{about} is in no known format of key points: {_remedy()}")


def _finished(recording: "Recording", found: Found, reading: "Reading") -> "Recording":
    """Settled, with linked persons, and with the word about what the file was taken for."""
    from stgcn_lightning.sources.linking import linked
    from stgcn_lightning.sources.settling import settled

    said = f"{found.path} is taken for {found.format}, because {found.why}" if found.why else ""
    if said:
        recording = replace(recording, remarks=(said, *recording.remarks))
    return linked(settled(recording, reading), reading)
