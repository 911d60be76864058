"""Pictures of the answers: animations and charts, a file for each recording.

Axes: M persons, T frames, V joints.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import file_name, write_atomically
from stgcn_lightning.jobs.prediction.pieces import Answered
from stgcn_lightning.report.colours import theme_named
from stgcn_lightning.report.limbs import flat
from stgcn_lightning.report.pages import render_timeline
from stgcn_lightning.report.timeline import Course, Timeline, edges_of, timeline
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.terminal import shown, shown_value

if TYPE_CHECKING:  # Pillow, which answers without pictures do not need
    from stgcn_lightning.report.animation import Shown
    from stgcn_lightning.report.lettering import Letters

SUFFIXES = {"animate": (".gif", ".mp4"), "chart": (".svg", ".png")}
WIDTHS = {"animate": 480, "chart": 960}  # pixels
ROWS = 3  # classes that an animation names
ASSUMED_FPS = 25.0  # of a recording that does not say
# pictures per second, and pictures of a whole recording, at most
LIMITS = {".gif": (15.0, 300), ".mp4": (30.0, 9000)}
ALIKE = 18  # letters: names that begin with the same ones may be cut to the same


class Pictures:
    """Writes the pictures that the settings ask for.

    Args:
        settings: of the door.
        classes: names of all classes.
        skeleton: of the recordings.
        say: is given what was written.

    Attributes:
        refused: why the first picture that is lacking could not be written; None: all are there.

    Raises:
        BadInput: a picture cannot be written as the settings say.
    """

    def __init__(
        self,
        settings: PredictSettings,
        classes: Sequence[str],
        skeleton: Skeleton,
        say: Callable[[str], object],
    ):
        self.settings, self.skeleton, self.say = settings, skeleton, say
        self.classes = told_apart(classes)
        self.colours = theme_named(settings.theme)
        self.files = {key: _file(key, getattr(settings, key)) for key in SUFFIXES}
        self.taken: set[Path] = set()
        self.refused: BadInput | None = None
        self._letters: Letters | None = None
        for key, file in self.files.items():
            if file is not None:
                _refuse_old(key, file)
        drawn = [file.suffix for file in self.files.values() if file is not None]
        if settings.animate is True or {".gif", ".mp4", ".png"}.intersection(drawn):
            _need("PIL", "pictures need pillow: pip install pillow")
        if ".mp4" in drawn:
            _need(
                "imageio_ffmpeg",
                "films need imageio-ffmpeg: pip install 'stgcn_lightning[video]'",
            )

    def add(self, one: Answered) -> None:
        """Write the pictures of a recording; why the first could not be written is `refused`."""
        for key, write in (("animate", self._animate), ("chart", self._chart)):
            if getattr(self.settings, key):
                try:
                    write(one, self._place(key, one))
                except BadInput as error:
                    self.refused = self.refused or error

    def _place(self, key: str, one: Answered) -> Path:
        """The file of a picture, which is new."""
        file = self.files[key]
        if file is None:
            name, suffix = file_name(one.asked.id, "recording"), SUFFIXES[key][0]
            file, number = self.settings.run_dir / f"{name}{suffix}", 1
            while file in self.taken:
                number += 1
                file = file.with_name(f"{name}_{number}{suffix}")
        elif file in self.taken:
            raise BadInput(
                f"{key}={file} is one file, and there are several recordings: {key}=true writes "
                "one of each into the run directory"
            )
        _refuse_old(key, file)
        self.taken.add(file)
        return file

    def _animate(self, one: Answered, file: Path) -> None:
        from stgcn_lightning.report.animation import (
            MOST_ROWS,
            Movie,
            Painter,
            pace,
            pictures,
            write_gif,
            write_mp4,
        )

        asked = one.asked
        shown_at = self._by_person if self.settings.per_person else self._of_all
        persons = [asked.name_of(person) for person in range(len(asked.sample.keypoint))]
        letters = self._font()
        movie = Movie(
            title=_titled(one) if letters.has(_titled(one)) else "",
            joints=flat(asked.sample.keypoint, up=asked.up),
            skeleton=self.skeleton,
            answer=shown_at(one),
            rows=len(persons) if self.settings.per_person else min(ROWS, len(self.classes)),
            fps=asked.fps,
            persons=[name if letters.has(name) else "" for name in persons],
        )
        width = self.settings.width or WIDTHS["animate"]
        width -= width % 2 if file.suffix == ".mp4" else 0  # films need even sides
        painter: Painter = Painter(movie, width, self.colours, letters)
        most_rate, most_frames = LIMITS[file.suffix]
        fps = asked.fps or ASSUMED_FPS
        speed = pace(asked.frames, fps, most_rate=most_rate, most_frames=most_frames)
        frames = pictures(painter, speed.every)
        with write_atomically(file) as out:
            if file.suffix == ".gif":
                write_gif(out, frames, speed.rate, self.colours)
            else:
                write_mp4(out.name, frames, speed.rate)
        every = "" if speed.every == 1 else f", one in {speed.every} frames"
        if self.settings.per_person and len(persons) > MOST_ROWS:
            every += f", answers of {MOST_ROWS} of {len(persons)} persons"
        self.say(f"animation: {shown(file)}{every}")

    def _chart(self, one: Answered, file: Path) -> None:
        names = self.classes
        if file.suffix == ".png":
            names = [self._named(number) for number in range(len(names))]
        chart = chart_of(one, names, self.settings.width or WIDTHS["chart"])
        with write_atomically(file) as out:
            if file.suffix == ".svg":
                out.write(render_timeline(chart).encode(errors="replace"))
            else:
                from stgcn_lightning.report.timeline_picture import picture_of

                picture_of(chart, self.colours, self._font()).save(out, "PNG")
        self.say(f"chart: {shown(file)}")

    def _font(self) -> "Letters":
        """The font of all pictures; which names it cannot write is said once."""
        from stgcn_lightning.report.lettering import Letters

        if self._letters is None:
            self._letters = Letters(self.classes, self.settings.font)
            unwritten = [name for name in self.classes if not self._letters.has(name)]
            if unwritten:
                self.say(
                    f"no font here has the letters of {unwritten[0]}: pictures show the numbers of "
                    f"such classes ({len(unwritten)}); give a font that has them, font=FILE.ttf"
                )
        return self._letters

    def _named(self, number: int) -> str:
        name = self.classes[number]
        return name if self._font().has(name) else f"class {number}"

    def _of_all(self, one: Answered) -> "Callable[[int], list[Shown]]":
        """At each frame, the classes with the highest scores of the window around it."""
        from stgcn_lightning.report.animation import Shown

        edges = edges_of(*_spans(one, None))

        def rows(t: int) -> list[Shown]:
            scores = one.scores[_window(edges, t)]
            best = np.argsort(-scores, kind="stable")[:ROWS].tolist()
            return [Shown(self._named(i), float(scores[i]), i == best[0]) for i in best]

        return rows

    def _by_person(self, one: Answered) -> "Callable[[int], list[Shown]]":
        """At each frame, the answer of each person's window around it."""
        from stgcn_lightning.report.animation import Shown

        found = {
            person: (edges_of(*_spans(one, person)), _scores(one, person))
            for person in dict.fromkeys(piece.person for piece in one.pieces)
            if person is not None
        }

        def rows(t: int) -> list[Shown]:
            shown_rows: list[Shown] = []
            for person, (edges, scores) in found.items():
                name = one.asked.name_of(person)
                if not edges[0] <= t < edges[-1]:
                    shown_rows.append(Shown(f"{name}: absent", 0.0, strong=False))
                    continue
                own = scores[_window(edges, t)]
                best = int(own.argmax())
                text = f"{name}: {self._named(best)}"
                shown_rows.append(Shown(text, float(own[best]), strong=True))
            return shown_rows

        return rows


def told_apart(classes: Sequence[str]) -> list[str]:
    """Names of classes, with their numbers where long names begin alike.

    Example:
        >>> told_apart(["sit down", "hand over something to others", "hand over something to eat"])
        ['sit down', '1 hand over something to others', '2 hand over something to eat']
    """
    times = Counter(name[:ALIKE] for name in classes)
    return [
        f"{number} {name}" if len(name) > ALIKE and times[name[:ALIKE]] > 1 else name
        for number, name in enumerate(classes)
    ]


def chart_of(one: Answered, classes: Sequence[str], width: int) -> Timeline:
    """The chart of a recording's answers over time."""
    fps = one.asked.fps
    courses: list[Course] = []
    for person in dict.fromkeys(piece.person for piece in one.pieces):
        edges = edges_of(*_spans(one, person)) / (fps or 1)
        name = "" if person is None else f"person {one.asked.name_of(person)}"
        courses.append(Course(name, edges, _scores(one, person)))
    unit = "frames" if fps is None else "seconds"
    return timeline(_titled(one), courses, classes, unit=unit, width=width)


def _titled(one: Answered) -> str:
    label = one.asked.label
    return one.asked.id if label is None else f"{one.asked.id}, labelled {label}"


def _rows_of(one: Answered, person: int | None) -> Iterator[int]:
    return (i for i, piece in enumerate(one.pieces) if piece.person == person)


def _spans(one: Answered, person: int | None) -> tuple[list[int], list[int]]:
    own = [one.pieces[i] for i in _rows_of(one, person)]
    return [piece.start for piece in own], [piece.stop for piece in own]


def _scores(one: Answered, person: int | None) -> Any:
    return one.scores[[*_rows_of(one, person)]]


def _window(edges: Any, t: int) -> int:
    """The number of the window that a frame is shown with."""
    return int(np.clip(np.searchsorted(edges, t, side="right") - 1, 0, len(edges) - 2))


def _file(key: str, value: Any) -> Path | None:
    """The file that a user names for a picture; None where each recording has its own, or none.

    Raises:
        BadInput: it is no file of a kind that can be written.
    """
    if value is None or isinstance(value, bool):
        return None
    kinds = SUFFIXES[key]
    file = path_of(key, value) if isinstance(value, str) else None
    if file is None or file.suffix not in kinds:
        raise BadInput(
            f"{key}={shown_value(value)} is none of true, false, FILE{', FILE'.join(kinds)}"
        )
    return file


def _refuse_old(key: str, file: Path) -> None:
    if file.exists():
        raise BadInput(f"{key}={file} exists already: remove it or choose another name")


def _need(module: str, remedy: str) -> None:
    if find_spec(module) is None:
        raise BadInput(remedy)
