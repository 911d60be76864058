"""What a user does, on a GPU: the figures are a CPU's, and repeated ones are the same."""

import signal
from contextlib import ExitStack

import forked
import gpus
import numpy as np
import pytest
import torch
from gpus import DEVICE, TRAINER
from interrupted_run import Run
from small_runs import TINY
from test_ranks import PYTHON, column, finish, start

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.predictor import load

pytestmark = gpus.NEEDED
SMALL = [TRAINER, "tf32=false", *TINY[1:]]
EXACT = ["trainer.deterministic=true", "tf32=false", TRAINER]
WAYS = {
    "float32": [],
    "bf16": ["trainer.precision=bf16-mixed"],
    "clipped": ["trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1"],
    "compiled": ["model.compile=default"],
    "graphs": ["model.compile=reduce-overhead"],
    "graphs, accumulated": ["model.compile=reduce-overhead", "recipe.accumulate=2"],
    "protogcn": ["model=protogcn", "model.base_channels=12"],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_is_killed_ends_as_the_undisturbed_one(way, tmp_path):
    """Bit for bit, where it is asked to be deterministic."""
    if DEVICE.type == "cpu" and "model.compile" in str(WAYS[way]):
        pytest.skip("compiling for a CPU takes minutes")
    states = []
    for folder, faults in (("whole", [None]), ("killed", [("step", 3), ("step", 5), None])):
        for fault in faults:
            fault = fault and (*fault, signal.SIGKILL)
            run = Run(tmp_path / folder, 1, fault, [*EXACT, *WAYS[way]])
            assert set(run.end(600)) == {-signal.SIGKILL if fault else 0}, run.text()
        states.append(run.state())
    whole, killed = states
    assert whole["global_step"] == killed["global_step"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(killed["state_dict"][name], value), name


def test_a_checkpoint_of_a_gpu_is_used_on_a_cpu(tmp_path):
    forked.succeed(
        tmp_path, "train", *SMALL, "test_after=true", "hydra.run.dir=run", "data.on_device=true"
    )
    best = next((tmp_path / "run" / "checkpoints").glob("best*.ckpt"))
    forked.succeed(
        tmp_path, "test", f"checkpoint={best}", "benchmark=synthetic", "trainer=cpu",
        "scores=cpu.npz", *[one for one in TINY if one.startswith("benchmark")],
    )  # fmt: skip
    ours, theirs = read_scores(tmp_path / "run" / "scores.npz"), read_scores(tmp_path / "cpu.npz")
    assert ours.ids.tolist() == theirs.ids.tolist()
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    clip = np.random.default_rng(0).random((1, 40, 17, 3), dtype=np.float32) * 100
    answers = [load(best, device=str(one))(clip, img_shape=(100, 100)) for one in (DEVICE, "cpu")]
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_a_loss_that_is_no_number_ends_in_a_sentence_and_is_not_saved(tmp_path):
    ended = forked.run(tmp_path, "train", *SMALL, "recipe.lr=1e30", "hydra.run.dir=run")
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert "the loss of step" in ended.stderr
    for saved in (tmp_path / "run").glob("checkpoints/*.ckpt"):
        for name, value in read_checkpoint(saved)["state_dict"].items():
            assert value.isfinite().all(), name


@gpus.REALLY
def test_a_gpu_whose_memory_is_spent_is_said(tmp_path):
    """By tensors of 157 GB, so that tests beside this one keep their memory."""
    ended = forked.run(
        tmp_path, "train", *SMALL, "model.base_channels=64", "data.clip_frames=100",
        "data.batch_size=300000", "recipe.train_passes_per_epoch=7500",
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert "data.batch_size" in ended.stderr


def test_two_processes_on_one_gpu_train_as_one_with_twice_the_batch(tmp_path):
    """By gloo, as two machines with a device each; NCCL takes each card once."""
    double = ["trainer.precision=64-true", "model.norm_group=4", "recipe.lr=0.05"]
    one = forked.run(
        tmp_path, "train", *SMALL, *double, "data.batch_size=8", "hydra.run.dir=one",
        "trainer.log_every_n_steps=1",
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    trainer = "trainer=ddp" if DEVICE.type == "cuda" else "trainer=ddp_cpu"
    with ExitStack() as running:
        nodes = [
            running.enter_context(
                start(
                    tmp_path, *SMALL, *double, trainer, "data.batch_size=4", "hydra.run.dir=two",
                    "trainer.strategy.process_group_backend=gloo", "trainer.log_every_n_steps=1",
                    program=(PYTHON, "-m", "torch.distributed.run", "--nnodes=2",
                             f"--node-rank={node}", "--nproc-per-node=1",
                             "--master-addr=127.0.0.1", "--master-port=29617",
                             "-m", "stgcn_lightning.train"),
                    GLOO_SOCKET_IFNAME="lo",
                )
            )
            for node in range(2)
        ]  # fmt: skip
        for status, out, err in map(finish, nodes):
            assert status == 0, out + err
    # Lightning sums the losses of a validation in float32
    for name, near in (("train/loss", 1e-9), ("val/loss", 1e-6), ("val/top1", 1e-9)):
        ours, theirs = column(tmp_path / "two", name), column(tmp_path / "one", name)
        assert len(ours) == len(theirs) > 1
        np.testing.assert_allclose(ours, theirs, rtol=near, atol=near, err_msg=name)


def test_onnxruntime_answers_on_a_gpu_as_on_a_cpu(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    provider = "CUDAExecutionProvider" if DEVICE.type == "cuda" else "CPUExecutionProvider"
    if provider not in runtime.get_available_providers():
        pytest.skip(f"this onnxruntime has no {provider}")
    forked.succeed(tmp_path, "train", *SMALL, "hydra.run.dir=run")
    best = next((tmp_path / "run" / "checkpoints").glob("best*.ckpt"))
    forked.succeed(tmp_path, "export", f"checkpoint={best}", "format=onnx", "out=model.onnx")
    clips = np.random.default_rng(0).random((3, 2, 40, 17, 3), dtype=np.float32)
    answers = []
    for one in (provider, "CPUExecutionProvider"):
        session = runtime.InferenceSession(tmp_path / "model.onnx", providers=[one])
        assert session.get_providers()[0] == one
        answers.append(session.run(None, {session.get_inputs()[0].name: clips})[0])
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-3)
