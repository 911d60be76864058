"""Moving skeletons with the answer at each moment, as GIF and MP4.

Pictures are drawn larger and made smaller, which smooths their edges.

Axes: M persons, T frames, V joints.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stgcn_lightning.report.colours import Colours, mixed, rgb
from stgcn_lightning.report.lettering import Letters
from stgcn_lightning.report.limbs import placed, sides
from stgcn_lightning.skeleton import Skeleton

LARGER = 2  # times
MOST_ROWS = 8  # of answers below a picture
SHADES = 8  # of each colour in a GIF


class Shown(NamedTuple):
    """A row of an answer: a name, its score in [0, 1], and whether it is the answer itself."""

    name: str
    score: float
    strong: bool


@dataclass(frozen=True, eq=False)
class Movie:
    """What moves, and what is answered.

    Attributes:
        title: name of the recording.
        joints: (M, T, V, 2) to the right and down; NaN where a joint was not found.
        skeleton: their edges.
        answer: the rows that a frame shows, by its number; the strong ones first.
        rows: how many these are at most.
        fps: frames per second; None where it is not known, then frames are counted.
        persons: numbers or names, drawn above persons where there are several.
    """

    title: str
    joints: NDArray[np.floating[Any]]
    skeleton: Skeleton
    answer: Callable[[int], Sequence[Shown]]
    rows: int
    fps: float | None
    persons: Sequence[str] = ()


class Pace(NamedTuple):
    """Which frames are shown, and for how long: every `every`-th, `rate` of those per second."""

    every: int
    rate: float


def pace(frames: int, fps: float, *, most_rate: float, most_frames: int) -> Pace:
    """The pace at which all of a recording is shown in its own time.

    Args:
        frames: of the recording.
        fps: of the recording.
        most_rate: pictures per second.
        most_frames: pictures; a longer recording leaves out more between two of them.
    """
    every = max(1, int(np.ceil(fps / most_rate)), -(-frames // most_frames))
    return Pace(every, fps / every)


class Painter:
    """Draws frames of a movie.

    Args:
        movie: what is drawn.
        width: of a picture in pixels.
        colours: of its parts.
        letters: of its texts.
    """

    def __init__(self, movie: Movie, width: int, colours: Colours, letters: Letters):
        self.movie, self.colours, self.letters = movie, colours, letters
        self.unit = LARGER * (10 + width / 60)  # height of small letters, in large pixels
        rows = min(MOST_ROWS, movie.rows)
        self.width = LARGER * width
        self.stage = round(0.72 * self.width)
        height = self.stage + (0.9 + 1.75 * rows + 1.6) * self.unit
        # films need even sides
        self.height = 2 * LARGER * round(height / (2 * LARGER))
        margin = 1.6 * self.unit
        self.joints = placed(movie.joints, self.width, self.stage, margin)
        self.sides = sides(movie.skeleton)

    def frame(self, t: int) -> Image.Image:
        """The picture of a frame, RGB."""
        picture = Image.new("RGB", (self.width, self.height), rgb(self.colours.paper))
        draw = ImageDraw.Draw(picture)
        for person in range(len(self.joints)):
            self._body(draw, person, t)
        self._answer(draw, self.movie.answer(t))
        self._foot(draw, t)
        size = (self.width // LARGER, self.height // LARGER)
        return picture.resize(size, Image.Resampling.LANCZOS)

    def _body(self, draw: ImageDraw.ImageDraw, person: int, t: int) -> None:
        joints = self.joints[person, t]
        seen = np.isfinite(joints).all(-1)
        if not seen.any():
            return
        colours = {
            "left": self.colours.cool,
            "right": self.colours.warm,
            "middle": self.colours.soft,
        }
        wide = max(2, round(0.24 * self.unit))
        for (child, parent), side in zip(self.movie.skeleton.edges, self.sides, strict=True):
            if not (seen[child] and seen[parent]):
                continue
            ends = [tuple(joints[child]), tuple(joints[parent])]
            draw.line(ends, fill=colours[side], width=wide)
            for x, y in ends:  # round ends
                radius = wide / 2
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[side])
        if len(self.movie.persons) > 1:
            x, y = np.nanmean(joints[seen, 0]), np.nanmin(joints[seen, 1]) - 0.4 * self.unit
            font = self.letters.font(self.unit)
            name = self.letters.fitting(self.movie.persons[person], self.unit, self.width / 4)
            draw.text((x, y), name, fill=self.colours.soft, font=font, anchor="mb")

    def _answer(self, draw: ImageDraw.ImageDraw, rows: Sequence[Shown]) -> None:
        """Names, scores and bars below the persons."""
        unit, edge = self.unit, 1.2 * self.unit
        percent = 3.4 * unit
        y = self.stage + 0.9 * unit
        for row in rows[:MOST_ROWS]:
            colour = self.colours.ink if row.strong else self.colours.soft
            size = 1.15 * unit if row.strong else unit
            text = self.letters.fitting(row.name, size, self.width - 2 * edge - percent)
            base = y + 1.05 * unit
            draw.text((edge, base), text, fill=colour, font=self.letters.font(size), anchor="ls")
            figure = f"{100 * row.score:.0f} %"
            right = self.width - edge
            draw.text((right, base), figure, fill=colour, font=self.letters.font(size), anchor="rs")
            top, low = y + 1.32 * unit, y + 1.52 * unit
            draw.rectangle((edge, top, right, low), fill=self.colours.rule)
            bar = self.colours.ink if row.strong else self.colours.bone
            end = edge + (right - edge) * min(max(row.score, 0), 1)
            draw.rectangle((edge, top, end, low), fill=bar)
            y += 1.75 * unit

    def _foot(self, draw: ImageDraw.ImageDraw, t: int) -> None:
        """The recording and the time, at the bottom."""
        unit, edge = 0.85 * self.unit, 1.2 * self.unit
        font, base = self.letters.font(unit), self.height - 0.55 * self.unit
        fps = self.movie.fps
        now = f"frame {t}" if fps is None else f"{t / fps:.1f} s"
        draw.text((self.width - edge, base), now, fill=self.colours.soft, font=font, anchor="rs")
        room = self.width - 2 * edge - 6 * unit
        title = self.letters.fitting(self.movie.title, unit, room)
        draw.text((edge, base), title, fill=self.colours.soft, font=font, anchor="ls")


def pictures(painter: Painter, every: int) -> Iterator[Image.Image]:
    """The frames that are shown, one after the other."""
    for t in range(0, painter.movie.joints.shape[1], every):
        yield painter.frame(t)


def write_gif(file: BinaryIO, frames: Iterator[Image.Image], rate: float, colours: Colours) -> None:
    """Write pictures as a GIF that repeats.

    Args:
        file: open for writing.
        frames: RGB, of one size.
        rate: pictures per second.
        colours: that they are drawn in.
    """
    palette = _palette(colours)
    small = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in frames)
    first = next(small)
    first.save(file, "GIF", save_all=True, append_images=small, duration=round(1000 / rate), loop=0)


def write_mp4(path: str, frames: Iterator[Image.Image], rate: float) -> None:
    """Write pictures as an MP4 (H.264) with the ffmpeg of imageio-ffmpeg.

    Args:
        path: of the file, which is replaced.
        frames: RGB, of one size with even sides.
        rate: pictures per second.
    """
    import imageio_ffmpeg

    first = next(frames)
    write: Any = imageio_ffmpeg.write_frames  # whose stub knows whole numbers of pictures alone
    writer = write(
        path, first.size, fps=rate, macro_block_size=2, quality=8,
        output_params=["-f", "mp4", "-movflags", "+faststart"],
    )  # fmt: skip
    writer.send(None)
    writer.send(first.tobytes())
    for one in frames:
        writer.send(one.tobytes())
    writer.close()


def _palette(colours: Colours) -> Image.Image:
    """Each colour in shades towards the paper, which smoothed edges have."""
    wanted = [colours.paper]
    for colour in colours[1:]:
        shades = [mixed(colour, colours.paper, i / SHADES) for i in range(SHADES)]
        wanted += shades
    table = [part for colour in dict.fromkeys(wanted) for part in rgb(colour)]
    image = Image.new("P", (1, 1))
    image.putpalette(table + table[:3] * (256 - len(table) // 3))
    return image
