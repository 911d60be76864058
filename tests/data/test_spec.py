import numpy as np
import pytest
from helpers import skeleton

from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.errors import BadInput

RIGHT = {"skeleton": skeleton("coco17"), "dimension": "2d", "normalise": "2d", "classes": 3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimension": "4d"}, "dimension='4d' is none of 2d, 3d"),
        ({"normalise": "minmax"}, "normalise='minmax' is none of 2d, 3d, 3d_centred, none"),
        (
            {"normalise": "3d"},
            "normalise=3d is not for 2d key points: set benchmark.normalise=2d",
        ),
        ({"classes": ["a", "b"]}, "is no number of classes: give len"),
        ({"classes": 0}, "classes=0 is no number of classes"),
        ({"skeleton": "coco17"}, r"is no Skeleton: give skeleton_named\('coco17'\)"),
        ({"on_bad_sample": "skip"}, "on_bad_sample='skip' is none of error, drop"),
    ],
)
def test_a_spec_that_says_nothing_known_is_refused(change, words):
    with pytest.raises(BadInput, match=words):
        StoreSpec(**RIGHT | change)
    StoreSpec(**RIGHT | {"classes": np.int64(3), "normalise": "none"})
