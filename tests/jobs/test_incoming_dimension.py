"""What the predict door says of recordings that a checkpoint cannot see."""

from types import SimpleNamespace

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.incoming import Incoming
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources.recordings import READING


def test_a_3d_recording_is_refused_for_a_2d_checkpoint_in_the_users_words(tmp_path):
    body = np.random.default_rng(0).normal(0, 0.4, (1, 8, 17, 3))
    np.savez(tmp_path / "run.npz", keypoint=body, skeleton="coco17")
    judges = SimpleNamespace(
        skeleton=skeleton_named("coco17"), first=SimpleNamespace(dimension="2d")
    )
    incoming = Incoming(judges, READING, split=None, map_to=None)
    with pytest.raises(BadInput, match="run has 3D key points and the checkpoint sees 2D"):
        list(incoming.at(tmp_path / "run.npz"))
