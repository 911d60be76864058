"""New recordings are read as those that were trained on."""

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.read_alike import mapped_to, read_alike
from stgcn_lightning.sources.recordings import Reading


def test_what_any_file_can_have_is_taken_over_unless_the_user_says_otherwise():
    said = []
    card = {"reading": {"least_score": 0.3, "gap": 5, "map": "coco17"}}
    found = read_alike(Reading(gap=7), card, said.append)
    assert (found.least_score, found.gap) == (0.3, 7)
    assert said == ["as the recordings that were trained on: reading.least_score=0.3"]
    assert mapped_to(card) == "coco17"


def test_what_a_file_may_state_itself_is_said_and_not_taken_over():
    said = []
    found = read_alike(Reading(), {"reading": {"img_shape": [480, 640]}}, said.append)
    assert found == Reading()
    assert "reading.img_shape=[480,640]: give the same here" in said[0]
    said.clear()
    given = Reading(img_shape=(480, 640))
    assert read_alike(given, {"reading": {"img_shape": [480, 640]}}, said.append) == given
    assert not said


@pytest.mark.parametrize("card", [{}, {"reading": None}, {"reading": "all"}])
def test_a_card_may_say_nothing(card):
    assert read_alike(Reading(), card, print) == Reading()
    assert mapped_to(card) is None


@pytest.mark.parametrize("wrong", [{"gap": -1}, {"least_score": "x"}, {"img_shape": [0, 10**9]}])
def test_a_card_that_says_what_cannot_be_is_refused(wrong):
    with pytest.raises(BadInput, match="in the card of the checkpoint"):
        read_alike(Reading(), {"reading": wrong}, print)
