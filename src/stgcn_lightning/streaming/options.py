"""What a user says about a stream."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from stgcn_lightning.errors import BadInput, nearest

LONGEST = 100_000  # frames of a window: about an hour
FASTEST = 100  # times: one frame that is pushed becomes 100 at most, or one of 100 is looked at


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How frames come, and how they are answered.

    Attributes:
        fps: frames per second that are pushed. It turns `seconds` into frames, dates the answers,
            and with `trained_fps` brings frames to the rate that the model knows.
        window: frames that an answer is about; None: those of a clip of the training.
        seconds: the same in seconds, instead of `window`.
        trained_fps: frames per second that the model was trained on; None: what its card says, and
            where that says nothing, frames are taken as they come.
        continual: take one frame at a time instead of a whole window again.
        every: frames from one answer to the next. In the continual form a divisor of the product of
            the network's strides, which then leaves frames out.
        together: one answer for the whole scene, whose first persons are those of a clip; else
            everybody is judged alone.
        least: frames for which a person, or the scene, has been there before the first answer;
            None: a window.
        gap: frames for which a person may be away and remain the same.
        img_shape: (height, width) of the pictures in pixels, which 2D key points are scaled to.
    """

    fps: float | None = None
    window: int | None = None
    seconds: float | None = None
    trained_fps: float | None = None
    continual: bool = False
    every: int = 1
    together: bool = False
    least: int | None = None
    gap: int = 30
    img_shape: tuple[int, int] | None = None

    @classmethod
    def of(cls, given: dict[str, Any]) -> "StreamOptions":
        """Options by name, checked.

        Raises:
            BadInput: there is no such option, or a value that it cannot have.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise BadInput(f"stream has no option {name}: {nearest(name, known)}")
        options = cls(**given)
        for name in ("fps", "seconds", "trained_fps"):
            value = given.get(name)
            wrong = isinstance(value, bool) or not isinstance(value, Real | None)
            if wrong or (value is not None and not 0 < float(value) < 1e6):
                raise BadInput(f"{name}={value!r} is no number above 0 and below a million")
        for name, least in (("window", 1), ("every", 1), ("least", 1), ("gap", 0)):
            value = given.get(name)
            wrong = isinstance(value, bool) or not isinstance(value, Integral | None)
            if wrong or (value is not None and not least <= int(value) <= LONGEST):
                raise BadInput(f"{name}={value!r} is no number of frames from {least} to {LONGEST}")
        for name in ("continual", "together"):
            if not isinstance(value := getattr(options, name), bool):
                raise BadInput(f"{name}={value!r} is neither True nor False")
        for name in ("seconds", "trained_fps"):
            if options.fps is None and given.get(name) is not None:
                raise BadInput(f"{name}={given[name]} needs the rate of what is pushed: give fps")
        if options.seconds is not None and options.window is not None:
            raise BadInput("window and seconds say the same in two units: give one of them")
        rate = options.trained_fps or options.fps
        if options.fps and rate and not 1 / FASTEST <= rate / options.fps <= FASTEST:
            raise BadInput(
                f"fps={options.fps} is more than {FASTEST} times as fast or as slow as the model's "
                f"{rate}: give the rate of the frames that you push"
            )
        if options.seconds is not None and rate and options.seconds * rate > LONGEST:
            raise BadInput(
                f"seconds={options.seconds} are more than {LONGEST} frames: give a shorter time"
            )
        return options
