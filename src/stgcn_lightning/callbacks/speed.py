"""Speed, waiting time and memory, for the loggers."""

import time
from typing import Any

import psutil
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Speed(Callback):
    """Logs clips per second, the share of time spent waiting for data, and memory (in GB).

    The wait is the time between two steps: fetching a batch and moving it to the device.
    """

    def __init__(self) -> None:
        self.begun = self.ended = time.perf_counter()
        self.waited = 0.0
        self.clips = 0
        self.process = psutil.Process()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again: time of validation does not count."""
        self._begin()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The batch is on the device: the wait is over."""
        self.waited += time.perf_counter() - self.ended

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count, and log as often as the loss is logged."""
        self.clips += len(batch.labels)
        self.ended = time.perf_counter()
        every: int = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if every and stepped and trainer.global_step % every == 0:
            seconds = self.ended - self.begun
            figures = {
                "train/clips_per_second": trainer.world_size * self.clips / seconds,
                "train/data_wait": self.waited / seconds,
                "memory/process_gb": self.process.memory_info().rss / 1e9,
            }
            if pl_module.device.type == "cuda":
                figures["memory/gpu_gb"] = torch.cuda.memory_allocated(pl_module.device) / 1e9
                figures["memory/gpu_most_gb"] = (
                    torch.cuda.max_memory_allocated(pl_module.device) / 1e9
                )
            for logger in trainer.loggers:
                # Lightning counts steps from 0
                logger.log_metrics(figures, trainer.global_step - 1)
            self._begin()

    def _begin(self) -> None:
        self.begun = self.ended = time.perf_counter()
        self.waited, self.clips = 0.0, 0
