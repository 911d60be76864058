"""A folder of a run has one owner, however many processes begin at once."""

import os
import signal
from pathlib import Path

import pytest
from forked import CONTEXT, held_by_another

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs import folders
from stgcn_lightning.jobs.folders import hold, new_folder, refuse_overwriting, release

PROCESSES = 8


@pytest.fixture(autouse=True)
def released():
    yield
    release()


def make_some(root, barrier, results):
    barrier.wait()
    results.put([new_folder(str(root), "same") for _ in range(5)])


def test_folders_that_processes_make_at_once_are_all_different(tmp_path):
    barrier, results = CONTEXT.Barrier(PROCESSES), CONTEXT.Queue()
    processes = [
        CONTEXT.Process(target=make_some, args=(tmp_path, barrier, results))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    made = [folder for _ in processes for folder in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert len(set(made)) == len(made) == 5 * PROCESSES
    assert {Path(folder).name for folder in made} == {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_is_only_named_is_not_made(tmp_path):
    (tmp_path / "taken").mkdir()
    assert new_folder(str(tmp_path), "taken", make=False) == f"{tmp_path}/taken_2"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_in_which_a_process_works_is_refused_until_it_is_killed(tmp_path):
    with held_by_another(tmp_path) as process, pytest.raises(BadInput, match="at work") as refused:
        hold(tmp_path)
    assert f"(process {process.pid} on" in str(refused.value)
    assert process.exitcode == -signal.SIGKILL
    hold(tmp_path)
    hold(tmp_path)  # by the same process as often as it likes


def hold_and_leave_a_child(folder, connection):
    hold(folder)
    child = os.fork()
    if not child:
        signal.pause()
    connection.send(child)
    signal.pause()


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_folder(tmp_path):
    """Loader processes do for some seconds."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold_and_leave_a_child, args=(tmp_path, theirs))
    process.start()
    child = ours.recv()
    process.kill()
    process.join()
    try:
        os.kill(child, 0)  # it lives
        hold(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(folders.fcntl, "lockf", refuse)
    hold(tmp_path)
    assert "cannot be locked (No locks available)" in capsys.readouterr().out


def test_a_folder_with_checkpoints_is_not_written_to(tmp_path):
    refuse_overwriting(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    refuse_overwriting(tmp_path)
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    with pytest.raises(BadInput, match="already holds checkpoints: resume=auto"):
        refuse_overwriting(tmp_path)
