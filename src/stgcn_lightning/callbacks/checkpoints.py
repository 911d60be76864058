"""What is kept of a run, and when."""

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest weights: after every epoch, and when Ctrl-C stops the run.

    Other exceptions save nothing: after a NaN loss the last epoch's weights are the better ones.
    """

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save if a person asked us to stop."""
        if isinstance(exception, KeyboardInterrupt):
            trainer.save_checkpoint(f"{self.dirpath}/{self.filename}{self.FILE_EXTENSION}")
