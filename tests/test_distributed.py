"""What two ranks exchange, and who is let in: two processes that meet in a file."""

import os
from datetime import timedelta

import forked
import pytest
import torch
from torch import distributed as dist

from stgcn_lightning.distributed import gathered, know_each_other, meet

CPU = torch.device("cpu")


def joined(place, rank, task, answers):
    """Meet as `rank`, and send what the task returns or raises."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if os.uname().sysname == "Darwin" else "lo"
    meet(str(place), rank, 2, backend="gloo", timeout=timedelta(seconds=20), device=CPU)
    try:
        answers.send(task(rank))
    except Exception as error:
        answers.send(f"{type(error).__name__}: {error}")
    dist.barrier()
    dist.destroy_process_group()


def both(folder, task):
    """What each of two ranks answers."""
    ends = [forked.CONTEXT.Pipe() for _ in range(2)]
    processes = [
        forked.CONTEXT.Process(target=joined, args=(folder / "meeting", rank, task, ends[rank][1]))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    answers = [ours.recv() if ours.poll(60) else "nothing" for ours, _ in ends]
    for process in processes:
        process.join()
    return answers


def value_of(rank):
    """Of every kind that travels, another one in each rank."""
    return {
        "state": [(torch.full((2, rank), 1.5, dtype=torch.float64), torch.tensor(rank > 0))],
        "half": torch.arange(3, dtype=torch.bfloat16) + rank,
        "generator": torch.arange(rank, dtype=torch.uint8),
        7: [None, rank, "é" * 3, float("inf"), True, (), {}],
    }


def exchanged(rank):
    values = gathered(value_of(rank))
    return [repr(value) for value in values]


def shown_another_secret(rank):
    know_each_other(b"right" if rank == 0 else b"wrong")
    return "let in"


def test_every_rank_has_the_values_of_all_as_they_were(tmp_path):
    expected = [repr(value_of(rank)) for rank in range(2)]
    assert both(tmp_path, exchanged) == [expected, expected]


def test_who_does_not_know_the_secret_is_found_out(tmp_path):
    right, wrong = both(tmp_path, shown_another_secret)
    assert right.startswith("BadInput: a process that is none of this job's answers as rank 1: ")
    assert wrong.startswith("BadInput: a process that is none of this job's answers as rank 0: ")


def test_what_only_a_pickle_could_say_is_not_sent(monkeypatch):
    monkeypatch.setattr("stgcn_lightning.distributed.together", lambda: True)
    monkeypatch.setattr(dist, "get_backend", lambda group: "gloo")
    with pytest.raises(TypeError, match="ranks exchange tensors, numbers and texts, not a set"):
        gathered({"of": [{1, 2}]})
