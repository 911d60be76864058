"""The private memory of a rank, on a store of NTU120's size.

    python scripts/bench/memory.py [--ranks 2]

Processes that torchrun starts train with `trainer=ddp_cpu` until their first step, when the first
batch is made and the model is in DDP; the store was built before. Memory is `Private_*` of
/proc/self/smaps_rollup (Linux), read every 10 ms, less what importing the package took.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from data import large_annotations
from lightning import Callback, LightningModule, Trainer

from stgcn_lightning.jobs.stores import open_store_of
from stgcn_lightning.jobs.training import train
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of

INTERVAL = 0.01  # seconds between two readings


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the memory of a run's ranks.")
    arguments.add_argument("--ranks", type=int, default=2)
    arguments.add_argument("--be-one", help=argparse.SUPPRESS)
    choice = arguments.parse_args()
    if choice.be_one:
        be_one(Path(choice.be_one))
        return
    with tempfile.TemporaryDirectory() as name:
        annotations, _ = large_annotations(Path(name))
        cfg = configuration(Path(name))
        store = open_store_of(settings_of("train", cfg))
        size = store.frames.numel() * store.frames.element_size()
        print(f"{len(store.ids):,} samples, {size / 1e9:.2f} GB ({annotations.name})", flush=True)
        torchrun = ["-m", "torch.distributed.run", "--standalone"]
        command = [sys.executable, *torchrun, f"--nproc-per-node={choice.ranks}", __file__]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--be-one", name], env=env, check=True)


def configuration(folder: Path) -> Any:
    """NTU120 cross-subject in 2D at full width, two processes or more, no files but the store."""
    cfg = composed(
        "train",
        "experiment=ntu120_xsub_2d_joint",
        "trainer=ddp_cpu",
        f"benchmark.annotations={folder / 'large.pkl'}",
        "benchmark.train_split=train",
        "benchmark.val_split=val",
        f"data.store_dir={folder}",
        f"run_dir={folder / 'run'}",
    )
    cfg.logger, cfg.callbacks = {}, {}
    return cfg


class FirstStep(Callback):
    """Ends the run before its first step, and prints the memory."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Print one line for each rank, and exit."""
        WATCH.stop()
        mine = f"rank {trainer.global_rank}: {WATCH.before / 1e3:.0f} MB after importing"
        print(f"{mine}, at most {(WATCH.most - WATCH.before) / 1e3:.0f} MB more", flush=True)
        time.sleep(1)  # until the others have been measured as well
        os._exit(0)


class Watch(threading.Thread):
    """Reads this process's private memory, in kilobytes, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.most = private()
        self.going = True

    def run(self) -> None:
        """Remember the maximum."""
        while self.going:
            self.most = max(self.most, private())
            time.sleep(INTERVAL)

    def stop(self) -> None:
        """Read a last time."""
        self.going = False
        self.join()
        self.most = max(self.most, private())


def private() -> int:
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


def be_one(folder: Path) -> None:
    """Train as one rank until the first step."""
    global WATCH
    WATCH = Watch()
    WATCH.start()
    cfg = configuration(folder)
    cfg.callbacks = {"first_step": {"_target_": "__main__.FirstStep"}}
    train(settings_of("train", cfg))


if __name__ == "__main__":
    main()
