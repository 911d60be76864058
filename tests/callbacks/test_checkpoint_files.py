import os

import pytest
import torch
from helpers import CHECKOUT
from hostile import Calls

from stgcn_lightning.callbacks.checkpoint_files import CheckpointFiles
from stgcn_lightning.callbacks.last_checkpoint import LAST, NEXT, make_last
from stgcn_lightning.callbacks.saving import Checkpoints
from stgcn_lightning.errors import BadInput


def save(folder, step, last_step, keep):
    """Checkpoints that hold their step."""
    (folder / NEXT).write_text(str(step))
    make_last(folder, step, last_step, keep)
    return {file.name: int(file.read_text()) for file in folder.iterdir()}


def test_the_last_checkpoints_are_kept_under_their_steps(tmp_path):
    assert save(tmp_path, 2, None, keep=3) == {LAST: 2}
    assert save(tmp_path, 4, 2, keep=3) == {LAST: 4, "step_000000002.ckpt": 2}
    save(tmp_path, 6, 4, keep=3)
    assert save(tmp_path, 8, 6, keep=3) == {
        LAST: 8,
        "step_000000006.ckpt": 6,
        "step_000000004.ckpt": 4,
    }


def test_one_checkpoint_is_replaced(tmp_path):
    save(tmp_path, 2, None, keep=1)
    assert save(tmp_path, 4, 2, keep=1) == {LAST: 4}


def test_later_checkpoints_of_a_run_that_went_back_are_deleted(tmp_path):
    for step in (3, 9):
        (tmp_path / f"step_{step:09}.ckpt").write_text(str(step))
    (tmp_path / LAST).write_text("12")  # the run was resumed from step 3, not from this one
    assert save(tmp_path, 5, None, keep=2) == {LAST: 5, "step_000000003.ckpt": 3}


@pytest.mark.parametrize("change", [{"keep": 0}, {"every_n_steps": 1.5}, {"keep": True}])
def test_how_often_and_how_many_are_whole_numbers(change):
    ((key, value),) = change.items()
    with pytest.raises(BadInput, match=rf"callbacks.last.{key}={value} must be a whole number"):
        Checkpoints(**{"folder": "run", "every_n_steps": 2, "keep": 2} | change)


def test_a_run_s_checkpoint_is_read_as_any_other_and_executes_nothing(tmp_path):
    content = {"state_dict": {"w": torch.ones(2)}, "loops": {"n": [1, None]}, "epoch": 3}
    CheckpointFiles().save_checkpoint(content, tmp_path / "run.ckpt")
    found = CheckpointFiles().load_checkpoint(tmp_path / "run.ckpt")
    assert torch.equal(found["state_dict"]["w"], torch.ones(2))
    assert (found["loops"], found["epoch"]) == (content["loops"], 3)
    hostile = {"epoch": Calls(os.system, f"touch {tmp_path / 'touched'}")}
    torch.save(hostile, tmp_path / "hostile.ckpt")
    with pytest.raises(BadInput, match="nothing in it was executed"):
        CheckpointFiles().load_checkpoint(tmp_path / "hostile.ckpt")
    assert not (tmp_path / "touched").exists()


def test_no_reader_that_executes_is_called_in_the_package():
    """Pickles of our own processes, and arrays of a store that we wrote, are apart."""
    apart = {"data/helpers.py": "pickle.load(", "data/store.py": "np.load("}
    package = CHECKOUT / "src" / "stgcn_lightning"
    for path in package.rglob("*.py"):
        for call in ("torch.load(", "pickle.load(", "pickle.loads(", "np.load(", "eval(", "exec("):
            if apart.get(str(path.relative_to(package))) != call:
                assert f" {call}" not in path.read_text(), path
