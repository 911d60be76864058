"""Which persons of a batch are distinct, and what stands for the others."""

import pytest
import torch
from engine_models import make
from helpers import learn

from stgcn_lightning.engine import engine, persons
from stgcn_lightning.engine.persons import distinct, find_present
from stgcn_lightning.models import registry


def pairs(clips: int, alone: int) -> torch.Tensor:
    """Clips of two persons; in the first `alone` of them the second one is absent."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clips, 2, 20, 5, 3, generator=generator, dtype=torch.float64)
    x[:alone, 1] = 0
    return x


def test_clips_without_anybody_are_one_row():
    rows, where = distinct(torch.zeros(3, 2, 4, 5, 3))
    assert rows.shape == (1, 4, 5, 3)
    assert where.share.tolist() == [[1.0]]
    assert where.of_person.tolist() == [[0, 0]] * 3


def test_rows_are_rounded_up_with_rows_that_stand_for_nobody():
    clips = pairs(5, 5)
    rows, where = distinct(clips, step=4)
    assert len(rows) == 8
    assert not rows[5:].any()
    torch.testing.assert_close(where.share[0, 5:], torch.tensor([0.5, 0, 0]).double())
    assert torch.equal(rows[where.of_person], clips)


def test_a_person_who_is_absent_from_some_frames_is_present():
    clips = pairs(1, 0)
    clips[0, 1, 1:] = 0
    assert len(distinct(clips)[0]) == 2


def test_norm_groups_share_a_batch_that_they_do_not_divide_evenly():
    _, where = distinct(pairs(5, 0), norm_group=2)
    assert where.persons.tolist() == [4, 4, 2]
    assert where.group.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert distinct(pairs(4, 0), norm_group=3)[1].persons.tolist() == [4, 4]


def test_a_present_person_has_one_joint_other_than_zero():
    clips = torch.zeros(2, 2, 4, 5, 3)
    clips[1, 0, 3, 2, 1] = -1
    assert find_present(clips).tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("family", registry.names())
def test_clips_are_not_looked_at_where_it_is_known_who_is_present(family, shallow, monkeypatch):
    """On a GPU the CPU would wait for them."""

    def waits(clips):
        raise AssertionError("the clips were looked at")

    for place in (engine, persons):
        monkeypatch.setattr(place, "find_present", waits)
    run, clips = engine.Engine(make(family=family, base_channels=12), norm_group=2), pairs(4, 2)
    present = clips.flatten(2).any(-1)
    learn(run, clips, torch.arange(4), present)
    run.model.eval()
    with torch.no_grad():
        run(clips, present)
