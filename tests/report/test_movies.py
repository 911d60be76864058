import base64

import numpy as np

from stgcn_lightning.report.movies import MOVIE_FRAMES, movie_data


def test_a_movie_comes_back_to_a_thousandth_and_marks_unseen_joints():
    frames = np.random.default_rng(0).normal(size=(2, 7, 17, 3))
    frames[1, 3:] = np.nan
    movie = movie_data(frames)
    assert movie["shape"] == (2, 7, 17, 3)
    integers = np.frombuffer(base64.b64decode(movie["points"]), "<i2").reshape(movie["shape"])
    assert (integers[1, 3:] == -32768).all()
    seen = integers[0].astype(float)
    scale = (frames[0, 0, 0] - frames[0, 1, 1])[0] / (seen[0, 0] - seen[1, 1])[0]
    np.testing.assert_allclose(
        (seen - seen[0, 0]) * scale, frames[0] - frames[0, 0, 0], atol=2e-3, rtol=1e-3
    )


def test_a_long_movie_shows_every_second_or_third_frame():
    frames = np.zeros((1, 2 * MOVIE_FRAMES + 1, 2, 2))
    movie = movie_data(frames)
    assert movie["every"] == 3
    assert movie["shape"][1] == 201


def test_a_sample_in_which_nobody_was_seen_is_still_a_movie():
    movie = movie_data(np.full((1, 3, 2, 2), np.nan))
    assert set(np.frombuffer(base64.b64decode(movie["points"]), "<i2")) == {-32768}
