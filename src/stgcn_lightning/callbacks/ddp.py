"""How Lightning trains on several devices here."""

import os
from typing import Any

from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from stgcn_lightning.callbacks.lightning_private import group_timeout
from stgcn_lightning.distributed import gathered, meet
from stgcn_lightning.ranks import MEETING


class DDP(DDPStrategy):
    """Lightning's, but that ranks of one machine meet in a file, and that no rank sends a pickle.

    Under torchrun and SLURM the ranks meet where these say.
    """

    def setup_distributed(self) -> None:
        """Make the process group, which Lightning would make where there is none."""
        if (place := os.environ.get(MEETING)) and not distributed.is_initialized():
            device = self.root_device
            named = self.process_group_backend
            meet(
                place, self.global_rank, self.world_size,
                backend=named or distributed.get_default_backend_for_device(device),
                timeout=group_timeout(self), device=device,
            )  # fmt: skip
        super().setup_distributed()

    def determine_ddp_device_ids(self) -> None:
        """None: PyTorch would send each part of a batch to the GPU, also who is present.

        That is needed on the CPU (`engine/persons.py`); clips and labels are on the GPU already.
        """

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        """The value that rank `src` has."""
        return gathered(obj)[src]
