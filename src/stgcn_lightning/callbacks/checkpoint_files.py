"""Checkpoints of a run on disk: their names, and how they are written and replaced."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import sync_folder, write_atomically

LAST = "last.ckpt"
NEXT = "next.ckpt"  # complete, and about to become the last
EARLIER = "step_*.ckpt"  # was the last before


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints that are only ever seen complete.

    Lightning itself writes to a temporary folder, maybe on another disk, and copies.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a temporary file in the same folder, then rename it.

        Raises:
            BadInput: the disk is full, or the folder cannot be written to.
        """
        # in memory first: torch's own writer hides why a disk refuses
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"cannot write {path}: {error.strerror}; choose another folder, hydra.run.dir=NEW"
            ) from error
        with write_atomically(path) as file:
            file.write(content.getbuffer())


def make_last(folder: Path, step: int, last_step: int | None, keep: int) -> None:
    """Make `next.ckpt` the last checkpoint, and delete those that are too many.

    Args:
        folder: of the checkpoints.
        step: of `next.ckpt`.
        last_step: of `last.ckpt`, which is kept under a name with this number; None: it is unknown,
            and the file is replaced.
        keep: how many checkpoints remain, the last among them.
    """
    last = folder / LAST
    if last_step is not None and last.exists() and keep > 1:
        last.replace(folder / _earlier(last_step))
    (folder / NEXT).replace(last)
    sync_folder(folder)
    earlier = sorted(folder.glob(EARLIER))
    # a run that was resumed from an earlier step (resume=FILE) leaves later ones: these go, too
    before = [path for path in earlier if path < folder / _earlier(step)]
    kept = before[-keep + 1 :] if keep > 1 else []
    for path in earlier:
        if path not in kept:
            path.unlink()


def _earlier(step: int) -> str:
    return EARLIER.replace("*", f"{step:09}")
