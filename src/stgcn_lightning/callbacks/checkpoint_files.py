"""Checkpoints of a run on disk: written and read (`last_checkpoint` has their names)."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.writing import write_atomically


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints that are only ever seen complete, and that execute nothing when they are read.

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

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Read it as any checkpoint of anybody, on the CPU; torch's own reader is not called.

        Raises:
            BadInput: it cannot be read, or is none.
        """
        return read_checkpoint(path)
