import pickle

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.data.names import K_STREAMS, STREAMS
from stgcn_lightning.data.streams import (
    Sequences,
    bone,
    check_stream,
    motion,
    own_stream,
    rows_of_present,
    stream_named,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton

# A chain a - b - c - d - e whose root is a.
CHAIN = Skeleton(
    "chain", tuple("abcde"), ((1, 0), (2, 1), (3, 2), (4, 3)), 0, (0, 0, 1, 2, 3), (), None
)
PARENTS = torch.tensor(CHAIN.bone_parents)
K_PARENTS = torch.tensor([0, 0, 0, 1, 2])
LAST = torch.tensor([-1])


def stream_of(joints: torch.Tensor, stream: str, *, scored: bool) -> torch.Tensor:
    """A stream of one sequence."""
    make = stream_named(stream).make
    sequences = Sequences(CHAIN, PARENTS, K_PARENTS, LAST, scored)
    return make(joints, sequences) if make else joints.float()


def sequences(scored: bool = True) -> st.SearchStrategy[torch.Tensor]:
    """(R, 5, 3) float16 or float32: what lies on a grid as fine as float16 between -2 and 2."""
    steps = hnp.arrays(np.int16, st.tuples(st.integers(1, 6), st.just(5), st.just(3)))
    types = st.sampled_from([torch.float16, torch.float32])
    return st.builds(lambda x, dtype: torch.from_numpy(x / 2**14).to(dtype), steps, types)


def test_bones_of_a_chain_by_hand():
    x = torch.tensor([[0.0, 0, 1], [1, 0, 0.5], [3, 1, 0.5], [6, 1, 0], [6, 5, 1]])
    bones = bone(x[None], PARENTS, scored=True)[0]
    assert bones.tolist() == [[0, 0, 1], [1, 0, 0.75], [2, 1, 0.5], [3, 0, 0.25], [0, 4, 0.5]]
    assert bone(x[None], PARENTS, scored=False)[0, 4].tolist() == [0, 4, 1]


def test_k_bones_of_a_chain_start_two_joints_before():
    x = torch.tensor([[0.0, 0, 1], [1, 0, 0.5], [3, 1, 0.5], [6, 1, 0], [6, 5, 1]])
    bones = stream_of(x[None], "k_bone", scored=True)[0]
    assert bones.tolist() == [[0, 0, 1], [1, 0, 0.75], [3, 1, 0.75], [5, 1, 0.25], [3, 4, 0.75]]
    moved = stream_of(torch.stack([x, 2 * x]), "k_bone_motion", scored=False)
    assert moved[0, 3].tolist() == [5, 1, -0.5]
    assert (moved[1] == 0).all()


def test_motions_by_hand():
    x = torch.tensor([[0.0, 5, 1], [2, 5, 0.5], [3, 4, 0.5]])[:, None].expand(3, 5, 3)
    motions = motion(x, LAST, scored=True)
    assert motions[:, 0].tolist() == [[2, 0, 0.75], [1, -1, 0.5], [0, 0, 0]]
    assert motion(x, LAST, scored=False)[0, 0].tolist() == [2, 0, -0.5]


def test_motion_does_not_reach_from_one_person_to_the_next():
    x = torch.rand(5, 5, 3)
    motions = motion(x, torch.tensor([1, 4]), scored=True)
    assert (motions[[1, 4]] == 0).all()
    assert torch.equal(motions[2:4], motion(x[2:], LAST, scored=True)[:2])


@given(sequences(), st.integers(-16, 16))
def test_bone_ignores_translation(x, shift):
    x = x.double()
    assert torch.equal(bone(x + shift, PARENTS, scored=False), bone(x, PARENTS, scored=False))


@given(sequences(), st.integers(1, 5))
def test_motion_of_a_still_clip_is_zero(x, frames):
    still = x[:1].expand(frames, -1, -1)
    motions = motion(still, LAST, scored=True)
    assert (motions[..., :2] == 0).all()
    assert torch.equal(motions[:-1, :, 2], still[:-1, :, 2])  # how sure it is of not moving


@given(sequences(), st.sampled_from(STREAMS), st.booleans())
def test_streams_are_those_of_the_naive_implementation(x, stream, scored):
    expected = x.numpy()[None]
    if "bone" in stream:
        parents = K_PARENTS if stream.startswith("k_") else PARENTS
        expected = naive.bones(expected, parents.tolist(), scored)
    if stream.endswith("bone_motion"):
        expected = expected.astype(np.float32)
    if stream.endswith("motion"):
        expected = naive.motions(expected, scored)
    result = stream_of(x, stream, scored=scored)
    assert result.dtype == torch.float32
    assert np.array_equal(result.numpy(), expected[0].astype(np.float32))


def test_bones_and_joint_motions_are_rounded_to_the_stored_type_and_bone_motions_are_not():
    fine = 2.0**-12  # half a step of float16 at 1
    x = torch.zeros(2, 5, 3, dtype=torch.float16)
    x[:, 1, 0], x[:, 0, 0] = 1, -fine  # the bone at joint 1 is 1 + fine
    x[1, 3, 0] = fine
    x[0, 3, 0] = -1
    make = {stream: stream_of(x, stream, scored=True) for stream in STREAMS}
    assert make["bone"][0, 1, 0] == 1
    assert make["joint_motion"][0, 3, 0] == 1
    assert make["bone_motion"][0, 3, 0] == 1 + fine
    x = torch.zeros(2, 5, 3, dtype=torch.float16)
    x[:, 2, 0], x[:, 0, 0], x[0, 4, 0] = 1, -fine, -fine
    k_bone, k_bone_motion = (stream_of(x, name, scored=True) for name in K_STREAMS)
    assert k_bone[0, :, 0].tolist() == [0, fine, 1, 0, -1]
    assert k_bone_motion[0, 4, 0] == 0
    x[1, 4, 0] = 1
    assert stream_of(x, "k_bone_motion", scored=True)[0, 4, 0] == 1


def test_an_unknown_stream_is_refused_with_the_names_there_are():
    with pytest.raises(BadInput, match="'bones' is none of joint, bone, joint_motion, bone_motion"):
        check_stream("bones")


# Streams of the user's own


def acceleration(joints: torch.Tensor, sequences: Sequences, scale: float = 1) -> torch.Tensor:
    return sequences.motion(sequences.motion(joints)) * scale


def one_more(joints: torch.Tensor, sequences: Sequences) -> torch.Tensor:
    return joints + 1


def one_person(joints: torch.Tensor, last: torch.Tensor = LAST) -> Sequences:
    return Sequences(CHAIN, PARENTS, K_PARENTS, last, scored=False)


def test_a_stream_of_the_user_s_own_sees_whole_sequences_and_takes_options():
    stream = own_stream("acceleration", acceleration, scale=10)
    x = torch.tensor([0.0, 1, 4, 9, 16]).view(5, 1, 1).expand(5, 5, 3)
    assert stream.make(x, one_person(x))[:, 0, 0].tolist() == [20, 20, 20, -70, 0]
    assert pickle.loads(pickle.dumps(stream)).name == "acceleration", "for loader processes"


def test_a_stream_of_the_user_s_own_gets_float32():
    made = own_stream("more", one_more).make(torch.ones(2, 5, 3).half(), one_person(LAST))
    assert made.dtype == torch.float32
    assert (made == 2).all()


def test_a_person_who_is_absent_throughout_stays_zero():
    x = torch.ones(7, 5, 3)
    x[[0, 2, 4, 5]] = 0  # row 0; one frame of the first person; all of the second person
    made = own_stream("more", one_more).make(x, one_person(x, torch.tensor([0, 3, 5, 6])))
    assert made[:, 0, 0].tolist() == [0, 2, 1, 2, 0, 0, 2]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=5))
def test_rows_of_present_are_those_of_sequences_that_are_not_all_zero(persons):
    x = torch.tensor([frame for person in persons for frame in person]).float()
    last = torch.tensor([len(person) for person in persons]).cumsum(0) - 1
    found = rows_of_present(x.view(-1, 1, 1), last.flip(0).repeat(2))
    assert found.tolist() == [any(person) for person in persons for _ in person]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda x, _: x[:-1], r"returns torch\.float32 of shape \(1, 5, 3\) for joints of shape"),
        (lambda x, _: x.long(), r"returns torch\.int64 of shape \(2, 5, 3\)"),
        (lambda x, _: x.numpy(), "returns ndarray for joints of shape .* return a floating point"),
    ],
)
def test_another_shape_or_type_is_refused(make, sentence):
    with pytest.raises(BadInput, match=f"stream mine {sentence}"):
        own_stream("mine", make).make(torch.zeros(2, 5, 3), one_person(LAST))


@pytest.mark.parametrize("name", ["bone", ""])
def test_a_stream_of_the_user_s_own_has_a_name_of_its_own(name):
    with pytest.raises(BadInput, match=rf"stream\.name={name} cannot be .* name than joint"):
        own_stream(name, acceleration)
