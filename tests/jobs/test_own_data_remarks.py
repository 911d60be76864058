"""What `prepare data=` says of recordings that one label hardly describes."""

from pathlib import Path

import numpy as np
import pytest

from stgcn_lightning.jobs.own.making import _say_long
from stgcn_lightning.jobs.own.reading import Labelled
from stgcn_lightning.sources.labels import Entry
from stgcn_lightning.sources.recordings import Recording


def labelled(frames):
    body = np.ones((1, frames, 1, 2), np.float32)
    return Labelled(Recording(f"of{frames}", body, ("nose",)), Entry(Path("x"), "a"), Path("x"))


@pytest.mark.parametrize(("frames", "said"), [(5000, True), (900, False)])
def test_a_recording_much_longer_than_the_others_is_named(capsys, frames, said):
    _say_long([labelled(60), labelled(50), labelled(frames)])
    assert (f"such as of{frames}" in capsys.readouterr().out) == said
