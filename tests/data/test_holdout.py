import numpy as np
import pytest

from stgcn_lightning.data.holdout import held_out_subjects, subjects_of
from stgcn_lightning.errors import BadInput

IDS = np.array(["S001C001P001R001A001", "S001C002P008R001A001", "S001C001P008R002A003"])
EVERYONE = np.array([f"{i:03d}" for i in (1, 2, 4, 5, 8, 9, 13, 14, 15, 16)])


def test_subjects_are_found_in_the_ids():
    assert subjects_of(IDS, r"P(\d+)").tolist() == ["001", "008", "008"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (None, "does not say who performs.*set benchmark.subject"),
        ("P(", "is no regular expression"),
        (r"P\d+", "is no regular expression with a group"),
        (r"s(\d+)_", "finds no subject in the id S001C001P001R001A001"),
    ],
)
def test_ids_without_subjects_are_refused(pattern, message):
    with pytest.raises(BadInput, match=message):
        subjects_of(IDS, pattern)


def test_subjects_are_named_with_or_without_leading_zeros():
    assert held_out_subjects(EVERYONE, [8, "001"]).tolist() == ["001", "008"]


def test_a_share_of_subjects_is_the_same_at_every_call():
    chosen = held_out_subjects(np.repeat(EVERYONE, 3), 0.3)
    assert len(chosen) == 3
    assert chosen.tolist() == held_out_subjects(EVERYONE[::-1], 0.3).tolist()
    assert len(held_out_subjects(EVERYONE, 0.01)) == 1


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([3], "3 is none of the training subjects 001, 002, 004"),
        (1.5, "no share between 0 and 1"),
        ([], "holds 0 of 10 training subjects out"),
        (0.99, "keeps 10 of 10"),
    ],
)
def test_holdouts_that_make_no_sense_are_refused(wanted, message):
    with pytest.raises(BadInput, match=message):
        held_out_subjects(EVERYONE, wanted)
