"""Ending a run whose accuracy no longer rises."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping as LightningsEarlyStopping

from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import counted


class EarlyStopping(LightningsEarlyStopping):
    """Ends a run after the validation that is the `patience`-th in a row without a better figure.

    The schedule of the learning rate is not shortened: it is that of all epochs. What is counted is
    saved with the run; one that is resumed goes on counting, with the patience that it is given
    now. (Lightning's own takes the checkpoint's.)

    Args:
        monitor: the figure, as it is logged: ``val/top1``.
        mode: ``max`` if more is better, else ``min``.
        patience: validations.
        min_delta: what a figure must be better by to count as better.

    Raises:
        BadInput: a value is none of these, or the figure is none of a validation.
    """

    def __init__(self, monitor: str, mode: str, patience: int, min_delta: float = 0.0):
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise BadInput(
                f"callbacks.early_stopping.patience={patience} must be a whole number of at least 1"
            )
        if isinstance(min_delta, bool) or not isinstance(min_delta, int | float) or min_delta < 0:
            raise BadInput(
                f"callbacks.early_stopping.min_delta={min_delta} must be a number of at least 0"
            )
        if monitor.startswith("train/"):  # not there yet, or that of one batch, when it is asked
            raise BadInput(
                f"callbacks.early_stopping.monitor={monitor} is of the training, and it is after "
                "validations that a run ends: set callbacks.early_stopping.monitor=val/top1"
            )
        super().__init__(monitor, min_delta, patience, mode=mode, check_on_train_epoch_end=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting, with the patience of this run."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience

    def ended(self, checkpoint: Mapping[str, Any]) -> bool:
        """Whether the run of a checkpoint has been ended, and would be with this patience."""
        state = checkpoint["callbacks"].get(self.state_key)
        return bool(state) and state["wait_count"] >= self.patience

    @property
    def line(self) -> str:
        """Why a run has been ended; empty if it was not."""
        if self.wait_count < self.patience:
            return ""
        return (
            f"{self.monitor} was {self.best_score:.4f}, and no better in "
            f"{counted(self.wait_count, 'validation', 'validations')} since: the run ends after "
            f"epoch {self.stopped_epoch + 1}; resume=auto with a higher "
            "callbacks.early_stopping.patience goes on"
        )
