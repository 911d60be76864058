"""A training run in a process of its own, forked with everything imported, that dies where told."""

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch
from forked import CONTEXT, behave_as_started, write_to

from stgcn_lightning.callbacks import checkpoint_files
from stgcn_lightning.files import writing
from stgcn_lightning.launching.doors import open_door
from stgcn_lightning.models import parts
from stgcn_lightning.recognizer import Recognizer

RUN = [
    "trainer=cpu",
    "benchmark.synthetic.train_samples=24",
    "benchmark.synthetic.val_samples=12",
    "model.base_channels=4",
    "data.clip_frames=8",
    "recipe.epochs=3",
    "recipe.train_passes_per_epoch=1",
    "recipe.dropout=0.5",
    "data.batch_size=4",
    "callbacks.last.every_n_steps=2",
    "trainer.log_every_n_steps=1",
    "hydra.run.dir=run",
    "resume=auto",
]
TWO = ["trainer=ddp_cpu", "data.batch_size=2"]


class Run:
    """A run of `ranks` processes in `folder`.

    Args:
        folder: working directory; the run directory is `run` in it.
        ranks: number of processes.
        fault: place, how often it is passed before, and what is done there, to rank 0.
        arguments: further overrides.
    """

    def __init__(self, folder, ranks=1, fault=None, arguments=()):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        overrides = [*RUN, *(TWO if ranks == 2 else []), *arguments]
        self.processes = [
            CONTEXT.Process(target=main, args=(folder, rank, ranks, port, overrides, fault))
            for rank in range(ranks)
        ]
        for process in self.processes:
            process.start()

    def send(self, number):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def end(self, timeout=120):
        """Wait for all; when one died of a signal or failed, the others are killed. Statuses."""
        until = time.monotonic() + timeout
        while any(process.exitcode is None for process in self.processes):
            codes = [process.exitcode for process in self.processes]
            if any(code == -signal.SIGKILL for code in codes) or time.monotonic() > until:
                self.send(signal.SIGKILL)
            time.sleep(0.01)
        for process in self.processes:
            process.join()
        return [process.exitcode for process in self.processes]

    def text(self, rank=0):
        return (self.folder / f"rank{rank}.txt").read_text()

    def state(self):
        return torch.load(self.folder / "run/checkpoints/last.ckpt", weights_only=True)


def main(folder, rank, ranks, port, overrides, fault):
    os.chdir(folder)
    write_to(f"rank{rank}.txt", f"rank{rank}.txt")
    if ranks > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }
    behave_as_started()
    parts.STAGES, parts.WIDENED = 3, (3,)  # a stage of each kind: depth is not the point
    if fault and rank == 0:
        place, passed, number = fault
        FAULTS[place](after(passed, lambda: os.kill(os.getpid(), number)))
    sys.argv = ["train.py", *overrides]
    open_door("train")
    sys.exit(0)


def after(passed, act):
    """A function that does it when it was called so often before, and once."""
    calls = 0

    def count():
        nonlocal calls
        if calls == passed:
            act()
        calls += 1

    return count


def in_step(act):
    step = Recognizer.training_step

    def patched(self, batch):
        result = step(self, batch)
        act()
        return result

    Recognizer.training_step = patched


def in_validation(act):
    step = Recognizer.validation_step

    def patched(self, *arguments, **more):
        act()
        return step(self, *arguments, **more)

    Recognizer.validation_step = patched


def in_write(act):
    write = checkpoint_files.write_atomically

    @contextlib.contextmanager
    def patched(path):
        with write(path) as file:

            class Half:
                def write(self, content):
                    half = len(content) // 2
                    file.write(content[:half])
                    file.flush()
                    act()
                    file.write(content[half:])

            yield Half()

    checkpoint_files.write_atomically = patched


def in_rename(act):
    """Before and after each rename of a checkpoint, in turn."""
    rename, replace = os.replace, Path.replace

    def patched(source, target):
        act()
        rename(source, target)
        act()

    def patched_path(self, target):
        act()
        result = replace(self, target)
        act()
        return result

    writing.os = type(os)("os")
    writing.os.__dict__.update(vars(os))
    writing.os.replace = patched
    Path.replace = patched_path


FAULTS = {
    "step": in_step,
    "write": in_write,
    "rename": in_rename,
    "validation": in_validation,
}
