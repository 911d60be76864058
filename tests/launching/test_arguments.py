"""Overrides that Hydra takes and nothing would use."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.arguments import refuse_unused, with_recordings


@pytest.mark.parametrize(
    ("door", "argument", "said"),
    [
        ("train", "stream=[joint,bone]", "stream=joint,bone with -m sweeps over them"),
        ("train", "trainer=[cpu, ddp]", "trainer takes one name"),
        ("train", "+stream=bone", "a group is chosen without plus signs: stream=bone"),
        ("train", "+streams=bone", "but fuse, reproduce: did you mean stream"),
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


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("data=clips", "recordings='clips'"),
        ("data=/my clips/été", "recordings='/my clips/été'"),
        ("data='in quotes'", "recordings='in quotes'"),
        (r"data=C:\clips\ ".strip(), r"recordings='C:\clips\\'"),
        ("data=it's", r"recordings='it\'s'"),
        (r"subject=P(\d+)", r"subject='P(\d+)'"),
        ("out=a b", "out='a b'"),
        ("out=null", "out=null"),
        ("data=default", "data=default"),
        ("data.workers=2", "data.workers=2"),
        ("name=mine", "name=mine"),
    ],
)
def test_prepare_takes_paths_and_patterns_as_they_are(given, read):
    assert with_recordings("prepare", ["-cd", "mine", given]) == ["-cd", "mine", read]
    assert with_recordings("train", [given]) == [given]


def test_an_option_of_the_group_data_is_no_path(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "long.yaml").touch()
    given = ["--config-dir", str(tmp_path), "data=long"]
    assert with_recordings("prepare", given) == given
    assert with_recordings("prepare", [f"--config-dir={tmp_path}", "data=long"])[1] == "data=long"
    assert with_recordings("prepare", ["data=long"]) == ["recordings='long'"]


@pytest.mark.parametrize("path", ["a", "it's", "a\\", "a\\'b", "ünder score/(1)", "a=b, [c] {d}"])
def test_hydra_reads_a_path_as_it_was_given(path):
    (argument,) = with_recordings("prepare", [f"data={path}"])
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert override.value() == path
