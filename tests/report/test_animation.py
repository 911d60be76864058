import io

import numpy as np
import pytest
from helpers import skeleton

pytest.importorskip("PIL")
from PIL import Image

from stgcn_lightning.report.animation import (
    Movie,
    Painter,
    Shown,
    pace,
    pictures,
    write_gif,
    write_mp4,
)
from stgcn_lightning.report.colours import THEMES, rgb
from stgcn_lightning.report.lettering import Letters

LIGHT, DARK = THEMES["light"], THEMES["dark"]
COCO = skeleton("coco17")
LETTERS = Letters([])


def movie(T=6, M=1, rows=1, name="wave", title="walk"):
    joints = np.random.default_rng(0).uniform(0, 100, (M, T, 17, 2))
    shown = [Shown(name, 0.5, i == 0) for i in range(rows)]
    return Movie(title, joints, COCO, lambda _: shown, rows, 30.0, [str(m) for m in range(M)])


def near(picture, colour, tolerance=30):
    """Pixels that have a colour, about."""
    distance = np.abs(np.asarray(picture, int) - np.array(rgb(colour))).max(-1)
    return distance <= tolerance


@pytest.mark.parametrize(("width", "colours"), [(400, LIGHT), (200, DARK), (1000, LIGHT)])
def test_left_and_right_have_their_colours_on_the_paper(width, colours):
    picture = Painter(movie(), width, colours, LETTERS).frame(0)
    assert picture.width == width
    assert picture.height % 2 == 0
    assert near(picture, colours.cool).sum() > 50
    assert near(picture, colours.warm).sum() > 50
    assert near(picture, colours.paper, 0).mean() > 0.5


def test_what_was_not_found_is_not_drawn():
    one = movie()
    one.joints[:] = np.nan
    picture = Painter(one, 400, LIGHT, LETTERS).frame(0)
    assert not near(picture, LIGHT.cool).any()
    assert not near(picture, LIGHT.warm).any()


def test_the_bar_is_as_long_as_the_score():
    for score in (0.0, 0.25, 1.0):
        one = movie()
        one = Movie(
            "", np.full_like(one.joints, np.nan), COCO, lambda _, s=score: [Shown("", s, True)],
            1, None,
        )  # fmt: skip
        picture = Painter(one, 400, LIGHT, LETTERS).frame(0)
        ink = near(picture, LIGHT.ink)
        widths = ink.sum(1)
        bar = widths[widths.argmax()] if score else 0
        assert bar == pytest.approx(score * (400 - 2 * 1.2 * (10 + 400 / 60)), abs=2)


@pytest.mark.parametrize("name", ["an endless name of a class " * 9, "手を振る", "", "a\nb\tc"])
def test_any_name_fits(name):
    picture = Painter(movie(name=name, title=name, M=3, rows=3), 240, LIGHT, LETTERS).frame(1)
    edge = np.asarray(picture)[:, -4:]
    assert (edge == rgb(LIGHT.paper)).all()


def test_time_is_shown_as_it_is_recorded():
    assert pace(60, 30, most_rate=15, most_frames=300) == (2, 15)
    assert pace(60, 10, most_rate=15, most_frames=300) == (1, 10)
    every, rate = pace(100_000, 30, most_rate=15, most_frames=300)
    assert -(-100_000 // every) <= 300
    assert rate == pytest.approx(30 / every)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_a_gif_holds_every_shown_frame_in_the_movie_s_colours(colours):
    painter = Painter(movie(T=9), 200, colours, LETTERS)
    file = io.BytesIO()
    write_gif(file, pictures(painter, 2), 15, colours)
    with Image.open(file) as gif:
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0
        assert 60 <= gif.info["duration"] <= 70
        gif.seek(3)
        drawn, want = (np.asarray(one.convert("RGB"), int) for one in (gif, painter.frame(6)))
        assert np.abs(drawn - want).mean() < 3
    assert len(file.getvalue()) < 60_000


# imageio-ffmpeg leaves the pipes to its process to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_mp4_is_a_film_of_all_frames(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    painter = Painter(movie(T=8), 200, LIGHT, LETTERS)
    write_mp4(str(tmp_path / "a.tmp"), pictures(painter, 1), 12.5)
    count, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "a.tmp"))
    assert count == 8
    assert seconds == pytest.approx(8 / 12.5, abs=0.1)
    reader = ffmpeg.read_frames(str(tmp_path / "a.tmp"))
    assert next(reader)["source_size"] == painter.frame(0).size
    reader.close()
