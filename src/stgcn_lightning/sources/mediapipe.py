"""MediaPipe's landmarks as CSV tables: ``x1, y1, z1, v1, ..., v33``, or columns by name.

MediaPipe writes no files; these are the habits of those who use it. Pose landmarks have x and y in
[0, 1] of the picture, and a z that is no distance in it (see `settling`); pose world landmarks are
metres with the origin between the hips and y down, by which a table of them is recognised.
Tables of Holistic's pose and face (501 landmarks, or 543 with hands) begin with the 33 of the pose:
the others are not read. 21 landmarks are a hand.

Axes: T frames, V landmarks.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.csv_tables import header, read_table
from stgcn_lightning.sources.detections import Detection, Frames, assembled
from stgcn_lightning.sources.joint_names import JOINTS, plain_name
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.wide_tables import Columns, columns_of, detections_of

HIPS = [JOINTS["mediapipe33"].index(f"{side}_hip") for side in ("left", "right")]
BETWEEN_HIPS = 0.05  # metres that the middle of the hips may be away from the origin
WITH_FACE = (501, 543)  # pose and face; pose, face and two hands
SKELETONS = ("mediapipe33", "hand21")


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return None
    columns = columns_of(header(path))
    if columns is None or _landmarks(columns) is None:
        return None
    shown = list(columns.joints)
    return f"its columns are of {len(shown)} landmarks, {shown[0]} to {shown[-1]}"


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it has no columns of 33 or 21 landmarks, or no person in any frame.
    """
    table = read_table(path)
    columns = columns_of(table.names)
    chosen = None if columns is None else _landmarks(columns)
    if columns is None or chosen is None:
        raise BadInput(
            f"{path} has no columns of MediaPipe's 33 or 21 landmarks, such as x1, y1, z1, v1; "
            "name its format with reading.format"
        )
    deep = all("z" in columns.joints[joint] for joint in chosen)
    words = ("x", "y", "z") if deep else ("x", "y")
    remarks: list[str] = []
    if len(columns.joints) > len(chosen):
        remarks.append(f"of {len(columns.joints)} landmarks the {len(chosen)} of the pose are read")
    if columns.others:
        remarks.append(f"columns that are no landmarks are not read, such as {columns.others[0]}")
    found = detections_of(table, columns, chosen, words)
    return [landmarks(found, path.stem, str(path), reading, tuple(remarks))]


def _landmarks(columns: Columns) -> list[str] | None:
    """The joints that are MediaPipe's landmarks, in its order; None: it has none such."""
    joints = list(columns.joints)
    plain = {plain_name(joint): joint for joint in joints}
    for names in (JOINTS[skeleton] for skeleton in SKELETONS):
        if all(name in plain for name in names):
            return [plain[name] for name in names]
    if not columns.numbered or not all(joint.isdigit() for joint in joints):
        return None
    numbers = sorted(map(int, joints))
    count, first = len(numbers), numbers[0]
    if first > 1 or numbers != list(range(first, first + count)):
        return None
    V = 33 if count in WITH_FACE else count
    return [str(number) for number in numbers[:V]] if V in (33, 21) else None


def landmarks(
    frames: dict[int, list[Detection]],
    id: str,
    about: str,
    reading: Reading,
    remarks: tuple[str, ...] = (),
) -> Recording:
    """The recording of landmarks by frame, in the order of MediaPipe.

    Args:
        frames: by number; coordinates x, y and perhaps z.
        id: of the recording.
        about: the file, for the sentence of an error.
        reading: what the user says; its unit says whether landmarks are in the world.
        remarks: what was decided so far.

    Raises:
        BadInput: there is no person in any frame, a number of a frame is absurd, or there are more
            values than memory should be asked for.
    """
    everybody = [one for found in frames.values() for one in found]
    if not everybody:
        raise BadInput(f"{about} has no person in any frame; leave it out")
    V = len(everybody[0].keypoint)
    name = "mediapipe33" if V == 33 else "hand21"
    world = in_world(everybody, reading)
    logits = any(one.score is not None and _is_logit(one.score) for one in everybody)
    if world and not reading.unit:
        remarks = (*remarks, "the origin lies between the hips: pose world landmarks, in metres")
    if logits:
        remarks = (*remarks, "visibility is no probability but its logit, which is made one")
    for found in frames.values():
        for i, one in enumerate(found):
            keypoint = one.keypoint if world else one.keypoint[:, :2]
            score = one.score
            if score is not None and logits:
                score = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
            found[i] = Detection(keypoint, score, one.track)
    if everybody[0].keypoint.shape[1] == 3 and not world:
        remarks = (*remarks, "z is dropped: it is no distance in the picture")
    unit = "metres" if world and not reading.unit else "unknown"
    return assembled(Frames(frames, about, unit=unit, remarks=remarks), id, JOINTS[name], name)


def in_world(everybody: list[Detection], reading: Reading) -> bool:
    """Whether landmarks are MediaPipe's world landmarks, in metres about the hips."""
    if everybody[0].keypoint.shape[1] == 2 or len(everybody[0].keypoint) != 33:
        return False
    if reading.unit:
        return reading.unit not in ("pixels", "picture", "signed")
    hips = np.stack([one.keypoint[HIPS] for one in everybody])  # persons and frames, 2, 3
    middle = hips[hips.any((1, 2)) & np.isfinite(hips).all((1, 2))].mean(1)
    return bool(len(middle) and np.abs(middle).max() < BETWEEN_HIPS)


def _is_logit(score: NDArray[np.float64]) -> bool:
    return bool((score < 0).any() or (score > 1).any())
