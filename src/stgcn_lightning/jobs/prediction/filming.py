"""The predict door for videos and cameras."""

from collections.abc import Callable, Iterator
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.incoming import Fault, asked
from stgcn_lightning.jobs.prediction.judging import Judges
from stgcn_lightning.jobs.prediction.live import Live, answers_to_frames
from stgcn_lightning.jobs.prediction.pieces import Answered, Asked
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
        self.imputing = self.skeleton.name != judges.skeleton.name
        self.film = video.film_of(named)
        device = judges.first.device.type
        self.estimate = video.estimator(settings.estimator, self.skeleton.name, device, say)

    def whole(self) -> Iterator[Asked | Fault]:
        """All of a video as one recording.

        Raises:
            BadInput: the video has no pictures.
        """
        recording = video.recording_of(self.film, self.estimate, self.id, self.skeleton)
        if recording is None:
            raise BadInput(f"video={self.settings.video} has no pictures: give another one")
        yield self._asked(recording)

    def live(self, tell: Callable[[Asked], object]) -> Iterator[Answered | Fault]:
        """Answers as the pictures come, until they end or the user interrupts."""
        live = Live(
            self.judges, self.settings, self.reading, id=self.id, fps=self.film.fps,
            img_shape=self.film.img_shape, imputing=self.imputing, tell=tell,
        )  # fmt: skip
        return answers_to_frames(self._frames(), live)

    def _frames(self) -> Iterator[Recording]:
        for picture in self.film.pictures:
            people = [self.estimate(picture)]
            yield video.recording_from(people, self.film, self.id, self.skeleton)

    def _asked(self, recording: Recording) -> Asked:
        ready = linked(settled(recording, self.reading), self.reading)
        return asked(ready, self.judges.skeleton, imputing=self.imputing)
