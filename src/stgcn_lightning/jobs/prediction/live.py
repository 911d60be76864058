"""Answers while persons move: frames come one by one and go through `Predictor.stream`.

Axes: M persons, V joints, C coordinates.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.incoming import Fault, asked
from stgcn_lightning.jobs.prediction.judging import Judges
from stgcn_lightning.jobs.prediction.pieces import Answered, Asked, Piece
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.following import Following
from stgcn_lightning.sources.live_lines import frame_of
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.settling import settled

Body = NDArray[np.float32]


class Live:
    """Takes frame after frame; an answer for the last `window` of them every `stride` frames.

    Args:
        judges: who answer.
        settings: of the door: window, stride, per_person, continual.
        reading: what the user says about frames; `gap` is that of the streams, `persons` how many
            are followed.
        id: of the answers.
        fps: frames per second, where that is known.
        img_shape: (height, width) of the pictures; None in 3D.
        imputing: joints that frames lack are imputed.
        tell: is given the first frame with persons.

    Raises:
        BadInput: the checkpoints have no continual form, or it has no such stride.
    """

    def __init__(
        self,
        judges: Judges,
        settings: PredictSettings,
        reading: Reading,
        *,
        id: str,
        fps: float | None,
        img_shape: tuple[int, int] | None,
        imputing: bool,
        tell: Callable[[Asked], object],
    ):
        self.judges, self.reading, self.id, self.fps, self.tell = judges, reading, id, fps, tell
        self.alone = settings.per_person
        self.imputing = imputing
        self.img_shape = img_shape
        self.window = settings.window or judges.first.clip_frames
        usual = 1 if settings.continual else max(1, self.window // 4)
        self.streams = {
            name: judge.stream(
                fps=fps,
                trained_fps=None,  # as without live=true: frames are taken as they come
                window=self.window,
                every=settings.stride or usual,
                together=not self.alone,
                continual=settings.continual,
                gap=reading.gap,
                img_shape=img_shape,
            )
            for name, judge in judges.predictors.items()
        }
        for stream in self.streams.values():
            stream.least = self.window + stream.delay  # the first answer, too, is about a window
        self.delay = max(stream.delay for stream in self.streams.values())
        self.following = Following(reading.gap, reading.persons)
        self.pushed = 0
        self.told = False
        self.kept: deque[dict[str, Body]] = deque(maxlen=self.window + self.delay)

    def push(self, frame: Recording | None) -> Answered | None:
        """Take the next frame, a recording of one; None: nobody was seen.

        Raises:
            BadInput: it cannot be used; nobody was in this frame then.
        """
        bodies: dict[str, Body] = {}
        try:
            bodies = self._bodies(frame)
        finally:  # the clock goes on
            answered = self._push(bodies)
        return answered

    def _push(self, bodies: dict[str, Body]) -> Answered | None:
        self.kept.append(bodies)
        self.pushed += 1
        for stream in self.streams.values():
            stream.push(bodies)
        found = [self._new(stream) for stream in self.streams.values()]
        persons = [one for one in found[0] if all(one in other for other in found)]
        if not persons:
            return None
        scores = self.judges.fused(
            {
                name: np.stack([scores[person] for person in persons])
                for name, scores in zip(self.streams, found, strict=True)
            }
        )
        return self._answered(persons, scores)

    def _new(self, stream: Any) -> dict[str, NDArray[np.float32]]:
        """Scores that the last frame gave."""
        return {
            str(person): answer.scores
            for person, answer in stream.answers.items()
            if answer.frame == self.pushed - 1
        }

    def _answered(self, persons: list[str], scores: NDArray[np.float32]) -> Answered:
        stop = max(1, self.pushed - self.delay)
        start = max(0, stop - self.window)
        frames = list(self.kept)[: stop - start]
        names = persons if self.alone else list(dict.fromkeys(n for one in frames for n in one))
        shape = next(iter(next(one for one in self.kept if one).values())).shape
        keypoint = np.zeros((len(names), len(frames), *shape), np.float32)
        for t, bodies in enumerate(frames):
            for m, name in enumerate(names):
                if name in bodies:
                    keypoint[m, t] = bodies[name]
        sample = Sample(self.id, None, keypoint, None, self.img_shape)
        one = Asked(sample, fps=self.fps, persons=tuple(names))
        numbers = range(len(persons)) if self.alone else [None]
        return Answered(one, [Piece(sample, start, m) for m in numbers], scores, live=True)

    def _bodies(self, frame: Recording | None) -> dict[str, Body]:
        if frame is None or not np.nan_to_num(frame.keypoint).any():
            self.following(np.zeros((0, self.judges.skeleton.num_joints, 2), np.float32))
            return {}
        ready = settled(frame, self.reading)
        one = asked(ready, self.judges.skeleton, imputing=self.imputing)
        if not self.told:
            self.tell(one)
            self.told = True
        keypoint = one.sample.keypoint[:, 0]  # M, V, C
        bodies = keypoint
        if self.judges.first.dimension == "2d":
            score = one.sample.score
            there = np.any(keypoint, axis=-1, keepdims=True)
            how_sure = there if score is None else score[:, 0, :, None]
            bodies = np.concatenate([keypoint, how_sure], axis=-1)
        bodies = bodies.astype(np.float32)
        names = list(ready.persons) if ready.tracked else self.following(keypoint)
        return {name: body for name, body in zip(names, bodies, strict=True) if name is not None}


def answers_to_lines(
    lines: Iterable[bytes],
    judges: Judges,
    settings: PredictSettings,
    reading: Reading,
    tell: Callable[[Asked], object],
) -> Iterator[Answered | Fault]:
    """An answer as soon as the line has come that completes a window.

    Raises:
        BadInput: the size of the pictures is not known, or nobody was there for a window.
    """
    first = judges.first
    if first.spec.normalise == "2d" and reading.img_shape is None:
        raise BadInput(
            "key points of frames are scaled to the picture: say its size, "
            "reading.img_shape=[HEIGHT,WIDTH]"
        )
    skeleton = skeleton_named(reading.skeleton) if reading.skeleton else judges.skeleton
    img_shape = reading.img_shape if first.dimension == "2d" else None
    live = Live(
        judges, settings, reading, id="-", fps=reading.fps, img_shape=img_shape,
        imputing=settings.map is not None, tell=tell,
    )  # fmt: skip

    def frames() -> Iterator[Recording | Fault | None]:
        for line in lines:
            if not line.strip():
                continue
            name = f"line {live.pushed + 1}"
            try:
                yield frame_of(line, name, skeleton, reading, first.dimension)
            except BadInput as error:
                yield Fault(name, str(error))

    return answers_to_frames(frames(), live)


def answers_to_frames(
    frames: Iterable[Recording | Fault | None], live: Live
) -> Iterator[Answered | Fault]:
    """Answers as they come, until the frames end or the user interrupts.

    Raises:
        BadInput: the frames have ended, and nobody was there for a window.
    """
    answered = False
    try:
        for frame in frames:
            name = f"frame {live.pushed + 1}"
            try:
                if isinstance(frame, Fault):
                    yield frame
                    frame = None  # a frame that cannot be read is one in which nobody was seen
                one = live.push(frame)
            except BadInput as error:
                yield Fault(name, str(error))
                continue
            if one is not None:
                answered = True
                yield one
    except KeyboardInterrupt:  # how the user of a camera says that it is enough
        return
    if not answered:
        least = live.window + live.delay
        raise BadInput(
            f"an answer needs somebody who is there for {least} frames, and {live.pushed} frames "
            "came: set a smaller window=FRAMES, or give more"
        )
