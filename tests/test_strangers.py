"""What other processes of this machine, and other machines, can do to ranks that train."""

import os
import socket
import stat
import sys
from contextlib import ExitStack

import lightning
import pytest
from helpers import CHECKOUT
from listening import of_processes
from test_ranks import finish, processes_of, start, wait_for

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.trainers import refuse_listening

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

NO_PICKLES = """
import torch.distributed.distributed_c10d as c10d

def refuse(*_, **__):
    raise AssertionError("a rank pickles")

c10d._object_to_tensor = c10d._tensor_to_object = refuse
"""
GARBAGE = [
    b"",
    b"\x00",
    b"\x00" * 8,
    b"\x01" + b"\x00" * 7,
    b"\xff" * 4096,
    b"GET / HTTP/1.1\r\n\r\n",
]


def test_a_socket_that_all_can_reach_is_seen_as_one():
    with (
        socket.socket() as here,
        socket.socket() as everywhere,
        socket.socket(socket.AF_INET6) as six,
    ):
        here.bind(("127.0.0.1", 0))
        everywhere.bind(("0.0.0.0", 0))
        six.bind(("::", 0))
        for one in (here, everywhere, six):
            one.listen()
        found = of_processes([os.getpid()])
        assert {(str(where), port) for where, port in found} >= {
            ("127.0.0.1", here.getsockname()[1]),
            ("0.0.0.0", everywhere.getsockname()[1]),
            ("::", six.getsockname()[1]),
        }


def test_a_strategy_whose_ranks_would_meet_at_a_port_is_refused(monkeypatch):
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    refuse_listening(trainer)
    monkeypatch.setenv(ranks.MEETING, "meeting")
    with pytest.raises(BadInput, match=r"derive it from stgcn_lightning\.callbacks\.ddp\.DDP"):
        refuse_listening(trainer)


@pytest.mark.slow
def test_ranks_listen_on_loopback_alone_pickle_nothing_and_mind_no_stranger(tmp_path):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(NO_PICKLES)
    paths = os.pathsep.join([str(hook), str(CHECKOUT / "src")])
    work = tmp_path / "work"
    work.mkdir()
    job = start(
        work, "trainer=ddp_cpu", "data.batch_size=4", "test_after=true", "recipe.epochs=4",
        "benchmark.synthetic.val_samples=3", "hydra.run.dir=run", PYTHONPATH=paths,
    )  # fmt: skip
    meeting = work / "run" / ".hydra" / "ranks" / "meeting"
    wait_for(meeting.exists)
    assert stat.S_IMODE(meeting.stat().st_mode) == 0o600
    # each of two ranks has a socket for training, and one for signals and checkpoints
    wait_for(lambda: job.poll() is not None or len(of_processes(processes_of(work))) == 4)
    sockets = of_processes(processes_of(work))
    with ExitStack() as strangers:
        for address, port in sockets:
            for garbage in GARBAGE:
                one = strangers.enter_context(socket.create_connection((str(address), port)))
                one.sendall(garbage)
        still_training = job.poll() is None
        status, _, err = finish(job)
    assert status == 0, err
    assert len(sockets) == 4
    assert all(address.is_loopback for address, _ in sockets), sockets
    assert still_training
    assert (work / "run" / "scores.npz").exists()
    assert not meeting.exists()
