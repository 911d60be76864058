import pytest
import torch
from engine_models import make, pairs

from stgcn_lightning.engine.engine import Engine


def short_of_memory(run, most, asked):
    """Let an evaluation fail that has more clips than memory allows."""
    compute = run.halving.compute

    def limited(clips, present):
        asked.append(len(clips))
        if len(clips) > most:
            torch.empty(1 << 60)  # which PyTorch refuses on any machine
        return compute(clips, present)

    run.halving.compute = limited


@pytest.mark.parametrize("present", [False, True])
def test_parts_that_fit_answer_as_the_whole_and_it_is_said_when_they_shrink(present):
    run, clips = Engine(make().double().eval()), pairs(5, 6)
    here = clips.flatten(2).any(-1) if present else None
    asked, said = [], []
    with torch.inference_mode():
        expected = run(clips, here)
        short_of_memory(run, 3, asked)
        run.halving.say = said.append
        torch.testing.assert_close(run(clips, here), expected, rtol=0, atol=1e-12)
        again = run(clips, here)
    assert asked == [5, 2, 2, 1, 2, 2, 1]
    torch.testing.assert_close(again, expected, rtol=0, atol=1e-12)
    assert [one.split(":")[1] for one in said] == [" from now on they are evaluated 2 at a time"]


def test_one_clip_that_does_not_fit_is_an_error():
    run, clips = Engine(make().eval()), pairs(1, 1).float()
    short_of_memory(run, 0, [])
    run.halving.say = lambda _: None
    with torch.inference_mode(), pytest.raises(RuntimeError, match="can't allocate memory"):
        run(clips)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be reported later",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_gpu_s_library_that_is_refused_memory_is_understood(text):
    run, clips = Engine(make().eval()), pairs(2, 0)
    compute, said = run.halving.compute, []

    def limited(clips, present):
        if len(clips) > 1:
            raise RuntimeError(text)
        return compute(clips, present)

    run.halving.say = said.append
    with torch.inference_mode():
        expected = run(clips)
        run.halving.compute = limited
        torch.testing.assert_close(run(clips), expected, rtol=0, atol=1e-12)
    assert len(said) == 1


def test_other_errors_and_training_are_not_tried_again():
    run, clips = Engine(make()), pairs(2, 0)
    asked = []
    short_of_memory(run, 0, asked)
    run(clips)
    assert asked == []
    run.model.eval()
    run.halving.compute = lambda *_: (_ for _ in ()).throw(RuntimeError("another"))
    with torch.inference_mode(), pytest.raises(RuntimeError, match="another"):
        run(clips)
