"""MS-G3D's windows in place, against windows that are copied out."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from engine_models import assert_near, assert_trains_alike, make, pairs

from stgcn_lightning.engine import windows
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.windows import Windows
from stgcn_lightning.models import msg3d

SIZES = [(length, frames, stride) for length in (1, 2, 7, 8) for frames in (3, 5)
         for stride in (1, 2)]  # fmt: skip


@pytest.mark.parametrize(("length", "frames", "stride"), SIZES)
def test_windows_are_views_of_the_frames_and_zeros_around(length, frames, stride):
    row, cut = torch.randn(length, 6), Windows(length, frames, stride)
    room = cut.room(row, 6)
    cut.inside(room).copy_(row)
    found = cut.of(room, 3)
    padded = F.pad(row, (0, 0, frames // 2, frames // 2)).unfold(0, frames, stride)  # S, 6, F
    assert torch.equal(found.flatten(1), padded.mT.flatten(1))
    assert found.data_ptr() == room.data_ptr()


@pytest.mark.parametrize(("length", "frames", "stride"), SIZES)
def test_receivers_are_all_windows_that_a_frame_is_in(length, frames, stride):
    cut = Windows(length, frames, stride)
    for phase in range(stride):
        places, first = cut.receivers(phase)
        for i, frame in enumerate(range(phase, length, stride)):
            found = {first + i + j: place for j, place in enumerate(places)}
            start = {w: frame - (w * stride - frames // 2) for w in range(-frames, length + frames)}
            assert found == {w: place for w, place in start.items() if 0 <= place < frames}
            assert min(found) >= -cut.past
            assert max(found) < cut.number + cut.past


@pytest.mark.parametrize("frames", [1, 2, 5, 20])
@pytest.mark.parametrize("channels", [3, 9])  # gathered before they are projected, and after
def test_short_and_wide_clips_train_as_the_padded_batch(frames, channels):
    model = make(channels=channels, family="msg3d")
    plain = deepcopy(model)
    clips = pairs(4, 3, frames, channels=channels)
    assert_trains_alike(Engine(model), model, plain, clips)


def test_fewer_numbers_are_kept_for_the_backward_pass():
    """Neither the windows nor what is gathered from every distance."""
    x = torch.randn(2, 16, 20, 5, requires_grad=True)
    joined = torch.ones(5, 5).bool()
    kept: dict[str, int] = {}
    for name, family in (("plain", msg3d), ("ours", windows)):
        for kind, given in (
            ("WindowConv", (joined, 5, 16, 16, 32, 2)),
            ("GraphConv", (msg3d.by_distance(joined, 13), 16, 16)),
        ):
            module = getattr(msg3d, kind)(*given).eval()
            module.__class__ = getattr(family, kind)
            found: dict[int, int] = {}

            def pack(tensor, found=found):
                found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                module(x)
            kept[f"{name} {kind}"] = sum(found.values())
    assert kept["ours GraphConv"] < kept["plain GraphConv"] / 3
    assert kept["ours WindowConv"] < kept["plain WindowConv"] / 2


def test_half_precision_and_gradients_in_evaluation_are_those_of_the_plain_model():
    model = make(family="msg3d").eval()
    plain, clips = deepcopy(model), pairs(3, 2)
    assert_trains_alike(Engine(model), model, plain, clips)
    model, clips = model.float().train(), clips.float()
    exact = deepcopy(plain).double().train()(clips.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert_near(Engine(model)(clips).double(), exact, 0.1)
