"""Frames of persons who appear, move and leave -> a label for each, while they move.

Axes: M persons, V joints, C channels.
"""

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.missing import not_found
from stgcn_lightning.data.samples import refuse_scaled
from stgcn_lightning.data.thresholds import FARTHEST
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.streaming.options import StreamOptions
from stgcn_lightning.streaming.resampling import Resampling

Body = NDArray[np.float32]
SCENE = "scene"  # who an answer is about if all persons are judged together


class Way(Protocol):
    """How frames become answers: by windows or frame by frame."""

    delay: int

    def step(
        self, bodies: Mapping[Hashable, Body], wanted: Sequence[Hashable]
    ) -> dict[Hashable, NDArray[np.float32]]:
        """Take a frame of the persons who are seen; new scores of persons `wanted`."""
        ...

    def leave(self, person: Hashable) -> None:
        """Forget a person."""
        ...


@dataclass(frozen=True)
class Kind:
    """What the key points of a stream must be.

    Attributes:
        skeleton: says how many joints.
        coordinates: 2 or 3.
        gaps: joints may be NaN.
        picture: (height, width) in pixels, which key points are scaled to; None: they are not.
    """

    skeleton: Skeleton
    coordinates: int
    gaps: bool
    picture: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a person does.

    Attributes:
        label: name of the likeliest class.
        scores: (classes,) after softmax.
        frame: number of the push that it was given after, from 0.
        seconds: the same in seconds since the first push; None where `fps` is not known.
    """

    label: str
    scores: NDArray[np.float32]
    frame: int
    seconds: float | None


class FrameStream:
    """Labels while persons move. `Predictor.stream` makes one; frames may come from any thread.

    Args:
        way: how frames become answers.
        kind: what key points must be.
        classes: names of the classes.
        options: what the user says.
        window: frames that an answer is about.

    Attributes:
        answers: the last `Answer` of everybody who is there; of a scene that is judged together,
            that of ``"scene"``. A push makes a new dict, so another thread may read an old one.
        window: frames that an answer is about, at the rate of the model.
        delay: frames, at the rate of the model, by which the newest of them is late.
    """

    def __init__(
        self, way: Way, kind: Kind, classes: list[str], options: StreamOptions, window: int
    ):
        self.way, self.kind, self.classes, self.options = way, kind, classes, options
        self.window, self.delay = window, way.delay
        self.answers: dict[Hashable, Answer] = {}
        self.least = window if options.least is None else options.least
        self.pushed = self.frame = 0  # frames that came, and frames at the rate of the model
        self._born: dict[Hashable, int] = {}
        self._seen: dict[Hashable, int] = {}  # last
        self._channels: int | None = None
        self._alone = False
        self._lock = threading.Lock()
        self._resampling: Resampling | None = None
        if options.trained_fps is not None and options.trained_fps != options.fps:
            assert options.fps is not None
            self._resampling = Resampling(options.trained_fps / options.fps)

    def push(self, keypoints: Any) -> Any:
        """Take the next frame.

        Args:
            keypoints: one person (V, C); several, {id: (V, C)}, an id being that of a tracker; or
                (M, V, C), where row m is always the same person. 2D in pixels, with the score of
                each joint as a third channel if there are scores; 3D in metres. A joint that was
                not found is NaN, all zero or all -1; so is, as a whole, a person who was not found.
                ``{}`` where nobody was.

        Returns:
            For one person, or a scene that is judged together: the label, None as long as there is
            none. Otherwise {id: label or None} of the persons in this frame.

        Raises:
            BadInput: key points have another shape or type than the model's, are infinite, scaled
                to the picture or out of any reach, or an id is none; the frame is then not taken.
        """
        with self._lock:
            bodies, alone = self._bodies(keypoints)
            for part in [bodies] if self._resampling is None else self._resampling(bodies):
                self._step(part)
            self.pushed += 1
            if self.options.together:
                return self._label(SCENE)
            return self._label(0) if alone else {person: self._label(person) for person in bodies}

    def _step(self, bodies: Mapping[Hashable, Body]) -> None:
        time = self.frame
        self.frame += 1
        for person in [one for one, last in self._seen.items() if one not in bodies
                       and time - last > self.options.gap]:  # fmt: skip
            self._leave(person)
        for person in bodies:
            self._born.setdefault(person, time)
            self._seen[person] = time
        wanted: list[Hashable] = []
        if bodies:
            old = [one for one, born in self._born.items() if time - born + 1 >= self.least]
            wanted = [one for one in old if one in bodies]
            if self.options.together:
                wanted = list(self._born) if old else []
        answers = dict(self.answers)
        for person, scores in self.way.step(bodies, wanted).items():
            seconds = None if self.options.fps is None else self.pushed / self.options.fps
            label = self.classes[int(scores.argmax())]
            name = SCENE if self.options.together else person
            answers[name] = Answer(label, scores, self.pushed, seconds)
        self.answers = answers

    def _leave(self, person: Hashable) -> None:
        self.way.leave(person)
        for part in (self._born, self._seen):
            part.pop(person, None)
        forgotten = SCENE if self.options.together else person
        if not (self.options.together and self._born):
            self.answers = {one: it for one, it in self.answers.items() if one != forgotten}

    def _label(self, person: Hashable) -> str | None:
        return self.answers[person].label if person in self.answers else None

    def _bodies(self, keypoints: Any) -> tuple[dict[Hashable, Body], bool]:
        """Persons who are seen, and whether it is the one person of a stream of one."""
        if isinstance(keypoints, Mapping):
            given, alone = dict(cast("Mapping[Hashable, Any]", keypoints)), False
            for person in given:
                if isinstance(person, Tensor) or person != person:
                    raise BadInput(
                        f"frame {self.pushed} has a person {person!r}, who is not found again by "
                        "that: give a number or a text as id, of a tensor id.item()"
                    )
        else:
            array = self._array(keypoints, "")
            alone = array.ndim == 2
            if array.ndim not in (2, 3):
                raise BadInput(
                    f"a frame has shape {array.shape}: give one person (V, C), several "
                    "{id: (V, C)}, an array (M, V, C), or {} where nobody is seen"
                )
            given = dict(enumerate(array[None] if alone else array))
        channels = self._channels
        found: dict[Hashable, Body] = {}
        for person, one in given.items():
            body = self._body(person, one, channels)
            channels = body.shape[1]
            if not not_found(body[:, : self.kind.coordinates]).all():
                found[person] = body
        self._channels = channels
        return found, alone

    def _body(self, person: Hashable, given: Any, channels: int | None) -> Body:
        body = self._array(given, f" for person {person}")
        V, C = self.kind.skeleton.num_joints, self.kind.coordinates
        allowed = (C, 3) if channels is None else (channels,)
        if body.ndim != 2 or body.shape[0] != V or body.shape[1] not in allowed:
            wanted = " or ".join(f"({V}, {n})" for n in dict.fromkeys(allowed))
            raise BadInput(
                f"frame {self.pushed} has key points of shape {body.shape} for person {person}: "
                f"give {wanted}, the joints of {self.kind.skeleton.name}"
            )
        if body.dtype.kind not in "fiu":
            raise BadInput(f"frame {self.pushed} holds {body.dtype} for person {person}: give "
                           "coordinates as numbers")  # fmt: skip
        absent = not_found(body[:, :C])
        far = np.abs(body).max(1, initial=0) > FARTHEST  # also infinity
        holed = np.isnan(body).any(1) & (not absent.all() and not self.kind.gaps)
        for wrong, why in (
            (far, f"no body is more than {FARTHEST:,.0f} away; leave the person out"),
            (holed, "the model was trained without gaps (data.missing=error); give numbers"),
        ):
            if wrong.any():
                joint = int(np.flatnonzero(wrong)[0])
                values = ", ".join(f"{value:g}" for value in body[joint].tolist())
                raise BadInput(
                    f"frame {self.pushed} has {values} at joint {joint} of person {person}: {why}"
                )
        if 2 * absent.sum() < V:  # of a few joints, all may lie in the corner of a picture
            what = f"frame {self.pushed}, person {person}"
            refuse_scaled(body[~absent, :C], self.kind.picture, what)
        return body.astype(np.float32)

    def _array(self, given: Any, whose: str) -> NDArray[Any]:
        if isinstance(given, Tensor):
            given = given.detach().cpu()
        try:
            return np.asarray(given)
        except ValueError:
            raise BadInput(
                f"frame {self.pushed} has rows of several lengths{whose}: give (V, C) of everybody"
            ) from None
