"""What key-point files leave open, decided once for all formats, and said.

=============  =====================================================================================
unit           as the user says, else as the format says, else by the coordinates: 2D is in parts of
               the picture's sides where 9 of 10 are at most 2 ([-1, 1] where 1 of 10 is below zero,
               else [0, 1]), in pixels where they are not; in 3D a body of up to 5 is in metres, up
               to 300 in centimetres, larger in millimetres
picture        2D key points become pixels. A size that is not known is taken for 1080 x 1920:
               of no consequence where the file has parts of the picture's size, since
               ``benchmark.normalise=2d`` divides by width and height again; refused where pixels
               lie outside of it
depth          z of key points in a picture is dropped: it is not of the same size as x and y
y              2D down, as in pictures. 3D up, as NTU RGB+D's camera space: y that grows downwards
               is turned by half a turn about z, in which x changes its sign, too; turning keeps
               left and right, mirroring y alone would exchange them
not found      a joint with NaN, with a score of 0 or below `least_score`, in 2D one at (0, 0), and
               in 3D a body with nothing but zeros: all zero, score 0
scores         clipped to [0, 1]; those of up to 100 with one above 10 are percent
frames         numbers that are left out in a file were frames without persons: they are filled with
               empty ones, up to 1,000 in a row; a larger hole is closed
sides          left and right are the person's own; that they look as the viewer's (or the picture
               mirrored) is said, and nothing changed
frame rate     as the user says, else as the file does; else not known, which only times need
=============  =====================================================================================

Axes: M persons, T frames, V joints, C coordinates.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.detections import most_values
from stgcn_lightning.sources.recordings import Reading, Recording, Unit

ASSUMED = (1080, 1920)  # NTU RGB+D's camera, which the reference assumes as well
OUTSIDE = 0.1  # of the picture's sides: detectors place joints a little beyond its edge
OF_PICTURE, OF_PICTURE_SHARE = 2.0, 0.9  # what is no pixel; joints may be out of the picture
SIGNED_SHARE = 0.1  # of coordinates below zero, where they are in [-1, 1]
METRES, CENTIMETRES = 5.0, 300.0  # largest side of a body in that unit
MIRROR_Y, HALF_TURN = np.array([1, -1], np.float32), np.array([-1, -1, 1], np.float32)
PER_METRE: dict[Unit, float] = {"metres": 1, "centimetres": 100, "millimetres": 1000}
MOST_COORDINATE = 1e9  # in any unit: what is larger, or infinite, is no place of a joint
LONGEST_HOLE = 1000  # frames; about half a minute of video
FACE, SHOULDERS = ("nose", "left_eye", "right_eye"), ("left_shoulder", "right_shoulder")
FACE_SEEN, FACING_SHARE = 0.5, 0.8  # least score of a face that is seen; share of such frames
PERCENT, MOST_PERCENT = 10.0, 100.0  # scores of detectors that are no probability end below 10


def settled(recording: Recording, reading: Reading) -> Recording:
    """Decide what the file leaves open; each decision is a sentence of the recording's remarks.

    Args:
        recording: as a reader returns it; one that is settled is returned as it is.
        reading: what the user says, which counts more than the file.

    Raises:
        BadInput: a coordinate is infinite or above 1e9, nobody is in any frame, or pixels lie
            outside of the picture that would be assumed.
    """
    if recording.settled:
        return recording
    steps: tuple[Callable[[Recording, Reading], tuple[Recording, str]], ...] = (
        _frames,
        _not_found,
        _scores,
        _unit,
        _depth,
        _picture,
        _direction,
        _metres,
        _rate,
        _sides,
    )
    for step in steps:
        recording, said = step(recording, reading)
        if said:
            recording = replace(recording, remarks=(*recording.remarks, said))
    return _zeroed(recording)


def _found(recording: Recording) -> NDArray[np.bool_]:
    """(M, T, V) whether a joint was found, once `_not_found` has marked the others with NaN."""
    return np.asarray(np.isfinite(recording.keypoint).all(-1))


def _not_found(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    keypoint, score = recording.keypoint, recording.score
    far = np.abs(keypoint) > MOST_COORDINATE  # False for NaN
    if far.any():
        m, t, v, c = (int(i) for i in np.argwhere(far)[0])
        raise BadInput(
            f"{recording.id}: joint {recording.joints[v]} of person {m} in frame {t} is at "
            f"{keypoint[m, t, v, c]:g}; write 0 or NaN for what was not found"
        )
    found = _found(recording)
    if score is not None:
        found &= score > 0  # False for NaN
        if reading.least_score is not None:
            found &= score >= reading.least_score
    if keypoint.shape[-1] == 3:
        found &= np.any(keypoint, axis=(2, 3), keepdims=True)[..., 0]
    elif "signed" not in (recording.unit, reading.unit):
        found &= np.any(keypoint, axis=-1)
    if not found.any():
        raise BadInput(f"{recording.id} has no joint of any person in any frame; leave it out")
    keypoint = np.where(found[..., None], keypoint, np.float32(np.nan))
    here = found.any(-1, keepdims=True)  # a person who is away has no joints to be found
    missing = int((here & ~found).sum())
    if score is None and not found.all() and keypoint.shape[-1] == 2:
        score = found.astype(np.float32)
    share = missing / (here.sum() * found.shape[-1])
    said = f"{share:.1%} of the joints of persons who are there were not found" * bool(missing)
    return replace(recording, keypoint=keypoint, score=score), said


def _scores(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    del reading
    if recording.score is None:
        return recording, ""
    found = _found(recording)
    score = np.where(found, recording.score, np.float32(0))
    most, said = float(score.max()), ""
    if most > MOST_PERCENT:
        score = found.astype(np.float32)
        said = f"scores of up to {most:g} are no confidence: each joint that was found has 1"
    elif most > PERCENT:
        score = score / np.float32(100)
        said = f"scores of up to {most:g} are taken for percent"
    elif most > 1:
        said = f"scores of up to {most:g} are cut to 1"
    return replace(recording, score=np.clip(score, 0, 1)), said


def _frames(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    """Fill holes in the numbers of frames with frames without persons."""
    del reading
    numbers = recording.frames
    if numbers is None or len(numbers) < 2:
        return recording, ""
    steps = np.diff(numbers)
    if steps.min() < 1:
        raise BadInput(f"{recording.id}: numbers of frames do not increase; sort the frames")
    values, times = np.unique(steps, return_counts=True)
    usual = int(values[times.argmax()])  # a file may hold every second frame
    holes = np.where(steps % usual == 0, steps // usual - 1, 0)
    closed = holes > LONGEST_HOLE
    holes = np.where(closed, 0, holes)
    M, T, V, C = recording.keypoint.shape
    inserted = int(holes.sum())
    if (T + inserted) * M * V * C > most_values(int(np.isfinite(recording.keypoint).sum())):
        return recording, f"{inserted:,} frames that are left out are not filled: they are too many"
    said = ""
    if inserted:
        said = (
            f"{inserted:,} of {T + inserted:,} frames are left out in the file: nobody is in them"
        )
    if closed.any():
        at = int(closed.argmax())
        said += "; " * bool(said) + (
            f"frame {numbers[at + 1]} follows frame {numbers[at]} at once, since more than "
            f"{LONGEST_HOLE:,} between them are left out"
        )
    if not inserted:
        return recording, said
    place = np.arange(T) + np.concatenate([[0], np.cumsum(holes)])
    keypoint = np.full((M, T + inserted, V, C), np.nan, np.float32)
    keypoint[:, place] = recording.keypoint
    score = recording.score
    if score is not None:
        full = np.zeros((M, T + inserted, V), np.float32)
        full[:, place] = score
        score = full
    # a frame that was left out has the number that follows from the one before it
    before = np.repeat(np.arange(T), np.append(holes, 0) + 1)
    filled = numbers[before] + usual * (np.arange(T + inserted) - place[before])
    return replace(recording, keypoint=keypoint, score=score, frames=filled), said


def _unit(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    if reading.unit:
        other = recording.unit not in ("unknown", reading.unit)
        said = f"{reading.unit} as reading.unit says, not {recording.unit}" * other
        return replace(recording, unit=reading.unit), said
    if recording.unit != "unknown":
        return recording, ""
    if recording.keypoint.shape[-1] == 3:
        side = _side(recording)
        unit: Unit = "metres" if side <= METRES else "centimetres"
        unit = unit if side <= CENTIMETRES else "millimetres"
        why = f"a body of {side:.3g} is taken to be in {unit}"
    else:
        values = recording.keypoint[_found(recording)]
        most = float(np.quantile(np.abs(values), OF_PICTURE_SHARE))
        unit = "pixels" if most > OF_PICTURE else "picture"
        below = float((values < 0).mean())
        if unit == "picture" and below > SIGNED_SHARE:
            unit = "signed"
        elif unit == "pixels" and below > SIGNED_SHARE:
            raise BadInput(
                f"{recording.id}: {below:.0%} of the coordinates are below zero, which those of "
                "pixels are not: set reading.unit (lengths in space are metres, centimetres or "
                "millimetres), or leave empty what was not found"
            )
        meant = {"pixels": "pixels", "picture": "[0, 1] of the picture", "signed": "[-1, 1] of it"}
        why = f"coordinates, most of them up to {most:.4g}, are taken for {meant[unit]}"
    return replace(recording, unit=unit), f"{why} (reading.unit says otherwise)"


def _side(recording: Recording) -> float:
    """The largest side of a body, in the median over frames."""
    keypoint = recording.keypoint.reshape(-1, *recording.keypoint.shape[2:])  # M * T, V, C
    seen = keypoint[np.isfinite(keypoint).all(-1).sum(-1) > 1]
    if not len(seen):
        return 0.0
    return float(np.median((np.nanmax(seen, 1) - np.nanmin(seen, 1)).max(-1)))


def _depth(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    del reading
    flat = recording.unit in ("pixels", "picture", "signed")
    if not flat or recording.keypoint.shape[-1] == 2:
        return recording, ""
    return (
        replace(recording, keypoint=recording.keypoint[..., :2]),
        "z is dropped: it is no distance in the picture",
    )


def _picture(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    """2D key points in pixels."""
    unit, keypoint = recording.unit, recording.keypoint
    if keypoint.shape[-1] == 3:
        return recording, ""
    if unit in PER_METRE:
        raise BadInput(
            f"{recording.id} has 2 coordinates, which cannot be in {unit}; set reading.unit to "
            "pixels, picture or signed"
        )
    stated = reading.img_shape or recording.img_shape
    height, width = stated or ASSUMED
    said = ""
    if reading.img_shape and recording.img_shape not in (None, reading.img_shape):
        said = f"the picture is {height} x {width} as reading.img_shape says"
    if unit == "pixels" and not stated:
        _refuse_outside(recording)
        said = (
            f"the picture is taken to be {height} x {width}: if it is not, set "
            "reading.img_shape=[HEIGHT, WIDTH]"
        )
    elif not stated:
        said = (
            f"the picture is taken to be {height} x {width}, which does not matter to a model: "
            "coordinates are parts of its sides"
        )
    if unit == "signed":
        keypoint = (keypoint + 1) / 2
    if unit != "pixels":
        keypoint = keypoint * np.array([width, height], np.float32)
    return (
        replace(
            recording,
            keypoint=keypoint,
            unit="pixels",
            img_shape=(height, width),
            img_shape_assumed=not stated or (recording.img_shape_assumed and not reading.img_shape),
        ),
        said,
    )


def _refuse_outside(recording: Recording) -> None:
    values = recording.keypoint[_found(recording)]
    most = np.quantile(values, 0.99, axis=0)  # a few joints may be far out
    if (most > np.array(ASSUMED[::-1]) * (1 + OUTSIDE)).any():
        raise BadInput(
            f"{recording.id} has pixels of up to {most[0]:.0f} in x and {most[1]:.0f} in y, beyond "
            f"the picture of {ASSUMED[0]} x {ASSUMED[1]} that is assumed; set "
            "reading.img_shape=[HEIGHT, WIDTH]"
        )


def _direction(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    y, keypoint = reading.y or recording.y, recording.keypoint
    if keypoint.shape[-1] == 2:
        if y == "down" or recording.img_shape is None:
            return replace(recording, y="down"), ""
        keypoint = keypoint * MIRROR_Y + np.array([0, recording.img_shape[0]], np.float32)
        return replace(recording, keypoint=keypoint, y="down"), "y grows upwards and is turned down"
    if y == "up":
        return replace(recording, y="up"), ""
    keypoint = keypoint * HALF_TURN
    said = "y grows downwards: the body is turned upright about z, which keeps left and right"
    return replace(recording, keypoint=keypoint, y="up"), said


def _metres(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    del reading
    if recording.keypoint.shape[-1] == 2 or recording.unit == "metres":
        return recording, ""
    per_metre = PER_METRE[recording.unit]
    return (
        replace(recording, keypoint=recording.keypoint / np.float32(per_metre), unit="metres"),
        f"{recording.unit} are made metres",
    )


def _rate(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    if reading.fps:
        return replace(recording, fps=reading.fps), ""
    if recording.fps and np.isfinite(recording.fps) and recording.fps > 0:
        return recording, ""
    said = "frames per second are not known: times are counted in frames (reading.fps says them)"
    return replace(recording, fps=None), said


def _sides(recording: Recording, reading: Reading) -> tuple[Recording, str]:
    """Whether left and right look as the viewer's: a word, since it cannot be known."""
    del reading
    place = {joint: v for v, joint in enumerate(recording.joints)}
    if recording.keypoint.shape[-1] == 3 or not place.keys() >= {*FACE, *SHOULDERS}:
        return recording, ""
    seen = _found(recording)
    if recording.score is not None:
        seen &= recording.score >= FACE_SEEN
    facing = seen[..., [place[joint] for joint in (*FACE, *SHOULDERS)]].all(-1)  # M, T
    left, right = (recording.keypoint[..., place[joint], 0] for joint in SHOULDERS)
    crossed = facing & (left < right)
    if not facing.any() or crossed.sum() < FACING_SHARE * facing.sum():
        return recording, ""
    return recording, (
        "left and right may be the viewer's: faces are seen, yet left shoulders are left in the "
        "picture, as if it were mirrored or its joints named from outside"
    )


def _zeroed(recording: Recording) -> Recording:
    """What was not found is zero, as everything that follows has it."""
    keypoint = np.nan_to_num(recording.keypoint, nan=0.0)
    return replace(recording, keypoint=keypoint.astype(np.float32, copy=False), settled=True)
