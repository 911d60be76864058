"""A door in a process of its own, into which a fault is put first."""

import os
import sys

import torch
from forked import CONTEXT, behave_as_started, write_to
from interrupted_run import RUN

from stgcn_lightning.launching.doors import open_door
from stgcn_lightning.recognizer import Recognizer

SMALL = [one for one in RUN if not one.startswith(("hydra.run.dir", "resume"))]
FIRST = [*SMALL, "hydra.run.dir=run", "data.store_dir=store", "resume=auto"]


class Ended:
    """A door that was opened in a process of its own, with a fault put into it first."""

    def __init__(self, folder, door, arguments, fault=None):
        folder.mkdir(exist_ok=True)
        texts = [folder / name for name in ("out.txt", "err.txt")]
        process = CONTEXT.Process(target=_open, args=(folder, door, arguments, fault, texts))
        process.start()
        process.join(300)
        if process.is_alive():
            process.kill()
            process.join()
        self.status, self.folder = process.exitcode, folder
        self.out, self.err = (text.read_text() for text in texts)

    def sentence(self, status=2):
        assert self.status == status, (self.status, self.out, self.err)
        assert "Traceback" not in self.err
        lines = [one for one in self.err.splitlines() if one.startswith("train: ")]
        assert len(lines) == 1, self.err
        return lines[0]

    def weights(self):
        file = self.folder / "run/checkpoints/last.ckpt"
        return torch.load(file, weights_only=True)["state_dict"]


def _open(folder, door, arguments, fault, texts):
    os.chdir(folder)
    write_to(*texts)
    behave_as_started()
    if fault:
        fault()
    sys.argv = [f"{door}.py", *arguments]
    open_door(door)
    sys.exit(0)


def at_step(number, act):
    """Do something with the recognizer, its batch and outputs after a training step."""
    step, steps = Recognizer.training_step, iter(range(10**9))

    def patched(self, batch):
        result = step(self, batch)
        if next(steps) == number:
            act(self, batch, result)
        return result

    Recognizer.training_step = patched
