"""Overrides that Hydra takes and nothing would use."""

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.arguments import refuse_unused


@pytest.mark.parametrize(
    ("door", "argument", "said"),
    [
        ("train", "stream=[joint,bone]", "stream=joint,bone with -m sweeps over them"),
        ("train", "trainer=[cpu, ddp]", "trainer takes one name"),
        ("train", "+stream=bone", "a group is chosen without plus signs: stream=bone"),
        ("train", "+streams=bone", "but fuse: did you mean stream"),
        ("train", "++seeds=[0,1]", "but reproduce: did you mean seed"),
        ("train", "run_dir=here", "set hydra.run.dir=here"),
        ("train", "hydra.run.dir=", "names no folder"),
        ("train", "hydra.sweep.dir=", "names no folder"),
        ("train", "--epochs", "without dashes, key=value; did you mean recipe.epochs?"),
        ("train", "--recipe.epochs=3", "did you mean recipe.epochs?"),
        ("train", "-recipe.epochs=3", "did you mean recipe.epochs?"),
        ("train", "--batch-size", "did you mean data.batch_size?"),
        ("test", "+resume=auto", "but train: "),
    ],
)
def test_what_would_be_left_aside_in_silence_is_refused(door, argument, said):
    with pytest.raises(BadInput) as refused:
        refuse_unused(door, ["seed=1", argument])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "argument",
    [
        "logger=[csv,wandb]", "callbacks=[]", "stream=[bone]", "stream=bone", "+_mine=1", "-m",
        "+trainer.gradient_clip_val=1", "benchmark.classes=[a,b]", "++seed=1", "stream=joint,bone",
        "+callbacks.mine._target_=a.B", "+logger.mine._target_=a.B", "--config-dir=conf",
        "-cd", "-cn=mine", "--multi", "--cfg=job", "-c", "--config-name", "-h", "-1",
        "trainer.devices=[0,1]", "+model.width=3", "hydra/job_logging=none",
    ],
)  # fmt: skip
def test_what_is_used_is_left_alone(argument):
    refuse_unused("train", [argument])
