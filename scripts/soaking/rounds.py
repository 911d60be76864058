"""A round: the doors, one after the other, by the command lines that a user types.

A run is trained as a whole; another one of the same settings is killed, goes on, is told to end,
goes on and ends. Both must have the same scores, bit for bit, and every round those of the first.
"""

import hashlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from soaking import processes
from soaking.processes import MARK, Held

LIMIT = 900  # seconds of a door on a busy machine
PATIENCE = 20  # seconds in which loader processes notice that a killed training is gone
TICK = 0.5  # seconds between two looks
SAMPLES, EPOCHS = 48, 6
SMALL = (
    "trainer=cpu",
    f"benchmark.synthetic.train_samples={SAMPLES}",
    "benchmark.synthetic.val_samples=24",
    "model.base_channels=4",
    "data.clip_frames=16",
    "data.test_clips=2",
    "data.batch_size=4",
    "data.workers=2",
    "recipe.train_passes_per_epoch=1",
    "recipe.dropout=0.5",
    "recipe.lr=0.05",
)
TRAINED = (
    *SMALL,
    f"recipe.epochs={EPOCHS}",
    "callbacks.last.every_n_steps=5",
    "callbacks.best.monitor=val/loss",  # the best epoch is a late one, whose scores tell most
    "callbacks.best.mode=min",
    "test_after=true",
)
EPOCH = re.compile(r"^epoch .* (\d+) clips/s", re.M)


class SoakError(Exception):
    """Something went wrong: one sentence."""


class Doors:
    """Runs doors in a folder, and watches their processes.

    Args:
        folder: working directory.
        mark: of the processes.
        env: environment.
        look: called again and again while one is at work.

    Attributes:
        most: the most that the processes of each command held at once, by its name in the round.
        cuts: how many signals came while the command was at work.
    """

    def __init__(
        self, folder: Path, mark: str, env: Mapping[str, str], look: Callable[[], None]
    ) -> None:
        self.folder, self.mark, self.look = folder, mark, look
        self.env = {**env, MARK: mark}
        self.most: dict[str, Held] = {}
        self.cuts, self.began = 0, 0.0

    def start(self, name: str, door: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Begin one; what it prints goes to NAME.txt."""
        self.began = time.monotonic()
        with (self.folder / f"{name}.txt").open("wb") as text:
            return subprocess.Popen(
                [sys.executable, "-m", f"stgcn_lightning.{door}", *arguments],
                cwd=self.folder,
                env=self.env,
                stdout=text,
                stderr=subprocess.STDOUT,
            )

    def run(self, name: str, door: str, *arguments: str) -> None:
        """Run one to its end.

        Raises:
            SoakError: its status is not 0, it took too long, or left a process behind.
        """
        self.finish(name, self.start(name, door, *arguments))

    def cut(self, name: str, number: int, delay: float, *arguments: str) -> None:
        """Run a training, which gets a signal some time after its first epoch.

        Args:
            name: of the command in the round.
            number: of the signal.
            delay: in durations of an epoch.
            arguments: of the training.

        Raises:
            SoakError: it did not end by the signal, nor well before that came.
        """
        process = self.start(name, "train", *arguments)
        rates: list[str] = []
        while process.poll() is None and not rates:
            self.watch(name)
            rates = EPOCH.findall(self.printed(name))
        until = time.monotonic() + delay * SAMPLES / max(1, int(rates[0])) if rates else 0
        while process.poll() is None and time.monotonic() < until:
            self.watch(name)
        process.send_signal(number)  # which does nothing where it has ended
        status = -number if number == signal.SIGKILL else 128 + number
        self.finish(name, process, status)
        self.cuts += process.returncode == status

    def watch(self, name: str) -> None:
        """Look at the processes, and wait a little, but not for ever."""
        if time.monotonic() > self.began + LIMIT:
            raise SoakError(f"{name} did not end within {LIMIT} s")
        now = processes.held(processes.marked(self.mark))
        self.most[name] = now.most(self.most.get(name, Held()))
        self.look()
        time.sleep(TICK)

    def finish(self, name: str, process: "subprocess.Popen[bytes]", *statuses: int) -> None:
        """Wait for its end, which must be 0 or one of these statuses."""
        while process.poll() is None:
            self.watch(name)
        if process.returncode not in (0, *statuses):
            line = (self.printed(name).strip().splitlines() or ["nothing"])[-1]
            raise SoakError(f"{name} ended with status {process.returncode}, and said last: {line}")
        if left := processes.left_over(self.mark, PATIENCE):
            raise SoakError(f"{name} left {len(left)} processes behind: {', '.join(left)}")

    def printed(self, name: str) -> str:
        """What a command printed so far."""
        return (self.folder / f"{name}.txt").read_text(errors="replace")


def trained(doors: Doors, number: int) -> dict[str, str]:
    """Train a run as a whole and one that is cut twice; digests of their scores.

    Raises:
        SoakError: a command failed, or the scores are not the same.
    """
    delays = random.Random(number)
    doors.run("train", "train", *TRAINED, "hydra.run.dir=whole")
    again = (*TRAINED, "hydra.run.dir=cut", "resume=auto")
    doors.cut("train, killed", signal.SIGKILL, delays.uniform(0, 1), *again)
    doors.cut("resume, told to end", signal.SIGTERM, delays.uniform(0, 1), *again)
    doors.run("resume", "train", *again)
    whole, cut = (of_scores(doors.folder / run / "scores.npz") for run in ("whole", "cut"))
    if whole != cut:
        raise SoakError("a run that was cut and resumed has other scores than one that was not")
    return {"train": whole}


def used(doors: Doors) -> dict[str, str]:
    """Use what was trained by the other doors; digests of what they wrote.

    Raises:
        SoakError: a command failed, or a test has other scores than the training's own.
    """
    best, folder = "checkpoint=whole/checkpoints/best.ckpt", doors.folder
    more = (f"recipe.epochs={EPOCHS + 1}", "hydra.run.dir=cut", "resume=auto")
    doors.run("resume, one epoch more", "train", *TRAINED, *more)
    doors.run("test", "test", *SMALL, best, "scores=test.npz")
    if of_scores(folder / "test.npz") != of_scores(folder / "whole/scores.npz"):
        raise SoakError("the test of best.ckpt has other scores than the training's own test of it")
    annotations = next((folder / "stores").glob("*.pkl")).relative_to(folder)
    asked = (f"source={annotations}", "split=val", "format=json", "out=answers.json")
    doors.run("predict", "predict", "checkpoint=whole", *asked, "chart=true", "window=16")
    streams = "streams={whole: whole/scores.npz, cut: cut/scores.npz}"
    doors.run("fuse", "fuse", streams, "scores=fused.npz")
    doors.run("inspect", "inspect", "source=whole", "out=whole.html")
    doors.run("export", "export", best, "format=safetensors", "out=model.safetensors")
    for page in ("whole/train_report.html", "whole/test_report.html", "whole.html"):
        if not (folder / page).exists():
            raise SoakError(f"there is no {page}")
    return {
        "resume, one epoch more": of_scores(folder / "cut/scores.npz"),
        "predict": of_bytes((folder / "answers.json").read_bytes()),
        "fuse": of_scores(folder / "fused.npz"),
        "export": of_bytes((folder / "model.safetensors").read_bytes()),
    }


def of_scores(path: Path) -> str:
    """A digest of a score file, without what it says of its checkpoint."""
    with np.load(path) as file:
        return of_bytes(b"".join(file[name].tobytes() for name in ("ids", "labels", "scores")))


def of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
