"""Small files of every format of key points, see `seeds`; names of the functions are `FORMATS`'."""

import io
import json
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from seeds import Seed, apart, numbers, one, records, written

from stgcn_lightning.sources.joint_names import JOINTS

T = 3  # frames
NAMES = JOINTS["coco17"]


def body(joints: int = 17, *, score: Any = 0.5, scale: float = 100.0) -> list[Any]:
    """A flat list x, y, score, x, y, ..."""
    found: list[Any] = []
    for x, y in numbers(joints, 2, scale=scale).round(1).tolist():
        found += [x, y, score]
    return found


def as_json(*contents: Any, name: str = "x.json") -> list[Seed]:
    """Each a file."""
    return [one(name, json.dumps(content)) for content in contents]


def frames_of(texts: list[str], name: str) -> Seed:
    """A folder with a file for each frame; `name` has a place for the number."""
    return Seed({name.format(i): text.encode() for i, text in enumerate(texts)})


def npz() -> list[Seed]:
    """With every key, and with the least."""
    full = {
        "keypoint": numbers(1, T, 3, 2, scale=50), "score": np.full((1, T, 3), 0.5),
        "joints": ["x", "y", "z"], "skeleton": "mine", "img_shape": (480, 640), "fps": 12.5,
        "unit": "pixels", "y": "down", "frames": [3, 4, 7], "persons": ["anna"],
    }  # fmt: skip
    least = {"keypoint": numbers(T, 3, 3).round(3).astype(np.float16)}
    seeds: list[Seed] = []
    for content in (full, least):
        for save in (np.savez, np.savez_compressed):
            file = io.BytesIO()
            save(file, **content)  # pyright: ignore[reportArgumentType]
            seeds.append(one("x.npz", file.getvalue()))
    return seeds


def own_json() -> list[Seed]:
    """An object, a list, and lines."""
    full = {
        "id": "a", "keypoint": numbers(1, T, 3, 2, scale=50).tolist(),
        "score": np.full((1, T, 3), 0.5).tolist(), "joints": ["x", "y", "z"], "skeleton": "mine",
        "img_shape": [480, 640], "fps": 12.5, "unit": "pixels", "y": "down", "frames": [3, 4, 7],
        "persons": ["anna"],
    }  # fmt: skip
    least = {"keypoint": [[[10, 20], [30, 40]], [[11, 21], [None, None]]], "joints": ["a", "b"]}
    lined = "\n".join(map(json.dumps, (full, least))) + "\n"
    return [*as_json(full, least, [least, full]), one("x.jsonl", lined)]


def annotations() -> list[Seed]:
    """Pickles of MMAction2 and PYSKL."""
    return [
        *(one("x.pkl", pickle.dumps(records(2), protocol)) for protocol in (2, 4)),
        one("x.pkl", pickle.dumps(records(2, np.float32)["annotations"], 5)),
        *apart(),
    ]


def pose() -> list[Seed]:
    """Of the three versions."""

    def text(words: str) -> bytes:
        return struct.pack("<H", len(words)) + words.encode()

    def header(version: float, form: str) -> bytes:
        made = struct.pack("<f4H", version, 640, 480, 0, 2)
        for name, points in (("POSE_LANDMARKS", ("NOSE", "LEFT_EYE")), ("FACE", ("A",))):
            made += text(name) + text(form) + struct.pack("<3H", len(points), 1, 1)
            made += b"".join(map(text, points))
            made += struct.pack("<2H", 0, 0) + struct.pack("<3H", 255, 0, 0)
        return made

    values = np.arange(T * 3 * 3, dtype="<f4").tobytes() + np.full(T * 3, 0.5, "<f4").tobytes()
    person = struct.pack("<h", 0) + np.arange(9, dtype="<f4").tobytes()
    listed = struct.pack("<2H", 30, 2) + struct.pack("<H", 1) + person + struct.pack("<H", 0)
    return [
        one("x.pose", header(0.2, "XYZC") + struct.pack("<fIH", 25, T, 1) + values),
        one("x.pose", header(0.1, "XYZC") + struct.pack("<3H", 25, T, 1) + values),
        one("x.pose", header(0.0, "XYC") + listed),
    ]


def h36m() -> list[Seed]:
    """VideoPose3D's archives."""
    places = {"S1": {"Walking 1": numbers(2, 32, 3).astype(np.float32)}}
    cameras = {"S9": {"Posing": [numbers(2, 17, 2, scale=100).astype(np.float32)] * 2}}
    about = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[4, 5], [1, 2]]}
    seeds: list[Seed] = []
    for content in ({"positions_3d": places}, {"positions_2d": cameras, "metadata": about}):
        file = io.BytesIO()
        np.savez_compressed(file, **content)  # pyright: ignore[reportArgumentType]
        seeds.append(one("x.npz", file.getvalue()))
    return seeds


def deeplabcut() -> list[Seed]:
    """Of one animal and of two, as pandas writes tables."""
    import pandas as pd

    seeds: list[Seed] = []
    for who in ((), ("mus1", "mus2")):
        levels = ("scorer", *(("individuals",) if who else ()), "bodyparts", "coords")
        columns = [
            ("DLC", *individual, part, coord)
            for individual in ([(name,) for name in who] or [()])
            for part in ("snout", "tail")
            for coord in ("x", "y", "likelihood")
        ]
        index = pd.MultiIndex.from_tuples(columns, names=levels)
        table = pd.DataFrame(numbers(T, len(columns)), columns=index)
        seeds.append(written("xDLC.csv", table.to_csv))
        for form in ("table", "fixed"):

            def write(path: Path, form: Any = form, table: Any = table) -> None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of PyTables about names
                    table.to_hdf(path, key="df_with_missing", format=form, mode="w")

            seeds.append(written("xDLC.h5", write))
    return seeds


def sleap() -> list[Seed]:
    """An analysis file in either order of axes, and a table."""
    points, likely = numbers(2, T, 3, 2, scale=50), np.full((2, T, 3), 0.75)

    def write(path: Path, axes: tuple[int, ...], rest: tuple[int, ...], packed: bool) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "tracks", data=points.transpose(axes), compression="gzip" if packed else None
            )
            file["point_scores"] = likely.transpose(rest)
            file["node_names"] = np.array(["nose", "neck", "tail"], "S")
            file["track_names"] = np.array(["female", "male"], "S")
            file["edge_inds"] = np.array([[1, 0], [1, 2]])
            if not packed:
                file["tracks"].attrs["dims"] = '["frame", "track", "node", "xy"]'

    table = (
        "track,frame_idx,instance.score,nose.x,nose.y,nose.score,tail.x,tail.y,tail.score\n"
        "female,0,0.9,1,2,0.5,3,4,0.25\nmale,0,0.8,5,6,0.5,,,\nfemale,2,0.9,7,8,1,9,10,1\n"
    )
    return [
        written("x.h5", lambda path: write(path, (0, 3, 2, 1), (0, 2, 1), True)),
        written("x.h5", lambda path: write(path, (1, 0, 2, 3), (1, 0, 2), False)),
        one("x.csv", table),
    ]


BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftUpLeg
  {
    OFFSET 10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 90 2  0 0 0  0 0 0
1 90 2  0 0 90  0 90 0
"""


def bvh() -> list[Seed]:
    """Two joints."""
    return [one("x.bvh", BVH)]


def c3d() -> list[Seed]:
    """Markers, in floats and in whole numbers, of the three processors."""

    def parameter(order: str, name: str, group: int, kind: int, sides: list[int], data: bytes):
        inner = struct.pack("bB", kind, len(sides)) + bytes(sides) + data + b"\0"
        head = struct.pack("2b", len(name), group) + name.encode()
        return head + struct.pack(f"{order}H", len(inner) + 2) + inner

    seeds: list[Seed] = []
    for processor, scale in ((84, -0.1), (84, 0.1), (85, -0.1), (86, -0.1)):
        order = ">" if processor == 86 else "<"
        groups = struct.pack("2b", 5, -1) + b"POINT" + struct.pack(f"{order}HB", 3, 0)
        groups += parameter(order, "LABELS", 1, -1, [4, 3], b"RHIPLHIPNECK")
        groups += parameter(order, "UNITS", 1, -1, [2], b"mm")
        groups += parameter(order, "Y_SCREEN", 1, -1, [2], b"+Z")
        groups += parameter(order, "USED", 1, 2, [], struct.pack(f"{order}h", 3))
        section = (bytes([1, 80, 1, processor]) + groups).ljust(512, b"\0")

        def floats(*values: float, processor: int = processor, order: str = order) -> bytes:
            if processor != 85:
                return np.array(values, f"{order}f4").tobytes()
            # VAX: another bias, and the high half first
            return np.array(values, "<f4").__mul__(4).view("<u2").reshape(-1, 2)[:, ::-1].tobytes()

        header = bytes([2, 80]) + struct.pack(f"{order}5H", 3, 0, 1, T, 0)
        header += floats(scale) + struct.pack(f"{order}2H", 3, 0) + floats(60.0)
        values = numbers(T * 3 * 4, scale=100)
        points = floats(*values) if scale < 0 else values.astype(f"{order}i2").tobytes()
        seeds.append(one("x.c3d", header.ljust(512, b"\0") + section + points))
    return seeds


def trc() -> list[Seed]:
    """Two markers."""
    return [
        one(
            "x.trc",
            "PathFileType\t4\t(X/Y/Z)\twalk.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits"
            "\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n60.00\t60.00\t3\t2\tmm\t60.00\t1\t3"
            "\nFrame#\tTime\tRHip\t\t\tNeck\t\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n\n"
            "5\t0.000\t100.5\t900\t-7\t1\t1400\t2\n6\t0.017\t\t\t\t2\t1401\t3\n"
            "8\t0.050\t103\t903\t-4\t3\t1402\t4\n",
        )
    ]


def mediapipe() -> list[Seed]:
    """Numbered columns, and named ones with frames and persons."""
    cells = numbers(2, 132, scale=0.4).round(3).tolist()
    rows = [",".join(map(str, row)) for row in cells]
    numbered = ",".join(f"{word}{v}" for v in range(1, 34) for word in "xyzv")
    named = ",".join(f"{v.upper()}_{w}" for v in JOINTS["mediapipe33"] for w in "xyz")
    short = [",".join(map(str, row[:99])) for row in cells]
    text = f"frame,person,{named}\n0,anna,{short[0]}\n0,ben,{short[1]}\n3,ben,{short[0]}\n"
    return [one("x.csv", "\n".join([numbered, *rows]) + "\n"), one("x.csv", text)]


def mediapipe_json() -> list[Seed]:
    """The names of Python and of the web."""
    points = [
        {"x": x, "y": y, "z": 0.1, "visibility": 0.9}
        for x, y in numbers(33, 2, scale=0.4).round(3).tolist()
    ]
    return as_json(
        [{"frame": 0, "pose_landmarks": [points]}, {"frame": 2, "pose_landmarks": []}],
        {"frames": [{"poseWorldLandmarks": points}]},
    )


def mediapipe_numpy() -> list[Seed]:
    """An array of all frames, one archived, and a file a frame."""

    def array(*shape: int) -> bytes:
        file = io.BytesIO()
        np.save(file, numbers(*shape, scale=0.4).astype(np.float32))
        return file.getvalue()

    archive = io.BytesIO()
    np.savez(archive, landmarks=numbers(2, 33, 3, scale=0.4))
    return [
        *(one("x.npy", array(*shape)) for shape in ((2, 33, 4), (2, 132), (2, 1, 33, 3))),
        one("x.npz", archive.getvalue()),
        Seed({f"{i}.npy": array(33, 4) for i in range(2)}),
    ]


def mediapipe_parquet() -> list[Seed]:
    """Two frames of a body, one packed."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    x, y = numbers(66, 2, scale=0.4).astype(np.float32).T
    columns = {
        "frame": np.repeat([20, 21], 33).astype(np.int16), "row_id": [f"r{i}" for i in range(66)],
        "type": ["pose"] * 66, "landmark_index": np.tile(np.arange(33), 2).astype(np.int16),
        "x": x, "y": y, "z": x,
    }  # fmt: skip
    seeds: list[Seed] = []
    for packing in ("none", "snappy"):
        file = io.BytesIO()
        parquet.write_table(pa.table(columns), file, compression=packing)
        seeds.append(one("x.parquet", file.getvalue()))
    return seeds


def openpose() -> list[Seed]:
    """Folders of frames of two people, and of the older form."""
    now = {
        "version": 1.3,
        "people": [{"person_id": [-1], "pose_keypoints_2d": body(25)} for _ in range(2)],
    }
    old = {"version": 0.1, "people": [{"pose_keypoints": body(18)}]}
    return [
        frames_of([json.dumps(content)] * 2, "walk_{:012d}_keypoints.json")
        for content in (now, old)
    ]


def coco() -> list[Seed]:
    """Ground truth of a video, whole bodies, and results."""
    person = {"id": 1, "name": "person", "keypoints": list(NAMES), "skeleton": [[16, 14]]}
    images = [
        {"id": i, "file_name": f"a/{i}.jpg", "width": 640, "height": 480, "video_id": 1}
        for i in range(2)
    ]
    truth = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 0,
         "keypoints": body(score=2), "num_keypoints": 17, "track_id": 4}
        for i in range(2)
    ]  # fmt: skip
    parts = {"foot": 6, "face": 68, "lefthand": 21, "righthand": 21}
    whole = [truth[0] | {f"{part}_kpts": body(count) for part, count in parts.items()}]
    results = [{"image_id": 5, "category_id": 1, "keypoints": body(), "score": 3.1}]
    return as_json(
        {"images": images, "annotations": truth, "categories": [person]},
        {"images": images[:1], "annotations": whole, "categories": [person]},
        results,
    )


def alphapose() -> list[Seed]:
    """Results with tracks, and the two forms by picture."""
    results = [
        {"image_id": f"{i}.jpg", "category_id": 1, "keypoints": body(), "score": 2.9,
         "box": [1.0, 2.0, 3.0, 4.0], "idx": [2.0]}
        for i in (0, 2)
    ]  # fmt: skip
    by_picture = [
        {"0.jpg": {"version": "AlphaPose v0.3", key: [{field: body(18)}]}}
        for key, field in (("people", "pose_keypoints_2d"), ("bodies", "joints"))
    ]
    return as_json(results, *by_picture)


def mmpose() -> list[Seed]:
    """A video, the demo's form, and a folder of frames."""
    points = numbers(17, 2, scale=100).round(1).tolist()
    someone = {"keypoints": points, "keypoint_scores": [0.5] * 17, "bbox": [[1.0, 2.0, 3.0, 4.0]]}
    video = [{"frame_id": i, "instances": [someone] * i} for i in range(2)]
    demo = {
        "meta_info": {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(NAMES))},
        "instance_info": [{"frame_id": 1, "instances": [someone | {"track_id": 3}]}],
    }
    return [*as_json(video, demo), frames_of([json.dumps([someone])] * 2, "{:06d}.json")]


def ultralytics() -> list[Seed]:
    """A list of frames, and a folder of them."""
    x, y = numbers(17, 2, scale=100).round(1).T.tolist()
    someone = {
        "name": "person", "class": 0, "confidence": 0.9, "track_id": 1,
        "box": {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0},
        "keypoints": {"x": x, "y": y, "visible": [0.9] * 17},
    }  # fmt: skip
    return [*as_json([[], [someone]]), frames_of([json.dumps([someone])] * 2, "clip_{}.json")]


def ultralytics_txt() -> list[Seed]:
    """With confidences and tracks."""
    values = [0, 0.5, 0.5, 0.25, 0.25, *body(score=0.75, scale=0.4), 0.9, 7]
    return [frames_of([" ".join(map(str, values)) + "\n"] * 2, "clip_{}.txt")]


def csv() -> list[Seed]:
    """Wide and long."""
    wide = "frame,person,left_knee_x,left_knee_y,left_knee_score,nose_x,nose_y,nose_score\n"
    wide += "0,anna,1,2,0.5,3,4,0.25\n0,ben,5,6,0.5,,,\n2,anna,7,8,1,9,10,1\n"
    long = "frame;joint;x;y;z\n0;nose;1;2;3\n0;neck;4;5;6\n1;nose;7;8;9\n"
    return [one("x.csv", wide), one("x.csv", long)]


def labels() -> list[Seed]:
    """Tables of recordings, beside two that they name."""
    files = {"a.npz": b"", "b.npz": b""}
    texts = (
        "file,label,split,subject,start,end\na.npz,hop,train,Ann,0,10\nb.npz,sit,val,Ben,,\n",
        "path;class;start_s;end_s\na.npz;hop;0.5;1.5\nb.npz;sit;0;2\n",
    )
    return [Seed({"table.csv": text.encode(), **files}, "table.csv") for text in texts]
