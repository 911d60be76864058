"""The predict door for videos and cameras."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.incoming import Fault, asked
from stgcn_lightning.jobs.judging import Judges
from stgcn_lightning.jobs.pieces import Answered, Asked, pieces_of
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources import video
from stgcn_lightning.sources.linking import linked
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.settling import settled

Say = Callable[[str], object]


class Filming:
    """People in pictures, as recordings for the judges.

    Args:
        named: a video, or the number of a camera.
        settings: of the door.
        judges: whose joints the recordings get.
        reading: what the user says.
        say: is given remarks.

    Raises:
        BadInput: there is no such video or camera, or a package is missing.
    """

    def __init__(
        self,
        named: str | int,
        settings: PredictSettings,
        judges: Judges,
        reading: Reading,
        say: Say,
    ):
        self.settings, self.judges, self.reading = settings, judges, reading
        self.id = f"camera {named}" if isinstance(named, int) else Path(named).stem
        self.skeleton = video.solution_for(judges.skeleton, skeleton_named)
        self.film = video.film_of(named)
        device = judges.first.device.type
        self.estimate = video.estimator(settings.estimator, self.skeleton.name, device, say)

    def whole(self) -> Iterator[Asked | Fault]:
        """All of a video as one recording."""
        recording = video.recording_of(self.film, self.estimate, self.id, self.skeleton)
        if recording is None:
            raise BadInput(f"video={self.settings.video} has no pictures: give another one")
        yield self._asked(recording)

    def live(self) -> Iterator[Answered]:
        """Answers of a camera as they come, until it ends or the user interrupts."""
        window = self.settings.window or self.judges.first.clip_frames
        stride = self.settings.stride or max(1, window // 4)
        parts = video.windows(
            self.film, self.estimate, self.id, self.skeleton, window=window, stride=stride
        )
        try:
            for start, recording in parts:
                try:
                    one = self._asked(recording)
                except BadInput:  # nobody is in the picture: no answer, and no mistake
                    continue
                pieces = pieces_of(
                    one, window=None, stride=None, per_person=self.settings.per_person
                )
                scores = self.judges.scores([piece.sample for piece in pieces])
                pieces = [replace(piece, start=start + piece.start) for piece in pieces]
                yield Answered(one, pieces, scores)
        except KeyboardInterrupt:  # how a camera's user says that it is enough
            return

    def _asked(self, recording: Recording) -> Asked:
        ready = linked(settled(recording, self.reading), self.reading)
        imputing = self.skeleton.name != self.judges.skeleton.name
        return asked(ready, self.judges.skeleton, imputing=imputing)
