"""What families share that are stages one after the other.

Axes: N clips, M persons, R = N x M rows, T frames, V joints (W as receivers), C channels, F
features, K neighbour subsets of the graph.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.parts import Head, channels_first, normalise_input, normalise_places


class Staged(Backbone):
    """A norm of the input, stages (R, C, T, V) -> (R, O, S, V), a mean over frames and joints.

    Args:
        stages: from first to last.
        classify: the head.
        joints: V.
        channels: C of the input.
        persons: M of the clips, whose places are normalised apart; None: all alike.
    """

    def __init__(
        self,
        stages: Iterable[nn.Module],
        classify: Head,
        *,
        joints: int,
        channels: int,
        persons: int | None = None,
    ):
        super().__init__()
        self.joints, self.channels, self.persons = joints, channels, persons
        self.data_norm = nn.BatchNorm1d((persons or 1) * joints * channels)  # (m V + v) C + c
        self.stages = nn.ModuleList(stages)
        self.classify = classify

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """(N, M, T, V, C) -> the same: every channel of every joint of every place apart."""
        return clips if self.persons is None else normalise_places(self.data_norm, clips)

    def features(self, x: Tensor) -> Tensor:
        """Persons (R, T, V, C) -> (R, F), the mean over frames and joints."""
        x = self.normalised(x)
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))

    def normalised(self, x: Tensor) -> Tensor:
        """What the first stage takes: persons (R, T, V, C) -> (R, C, T, V)."""
        return normalise_input(self.data_norm, x) if self.persons is None else channels_first(x)

    def learned_edges(self) -> Tensor:
        """(stages, K, V, W): the adjacency that each stage has learned, which clips may add to."""
        names = (f"stages.{number}.graph.adjacency" for number in range(len(self.stages)))
        return torch.stack([self.get_parameter(name).detach() for name in names])

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The width of a `state_dict`."""
        return {"base_channels": len(state["stages.0.graph.norm.bias"])}


def check_width(base_channels: int, least: int, parts: str) -> None:
    """Refuse a width that some `parts` of a family would have no channel of.

    Raises:
        BadInput: there are fewer than `least` channels.
    """
    if base_channels < least:
        raise BadInput(
            f"model.base_channels={base_channels} leaves no channel to {parts}: set"
            f" model.base_channels={least} or more"
        )


def persons_of(state: Mapping[str, Tensor], channels: int) -> int:
    """M of a `state_dict` whose places of persons are normalised apart.

    Args:
        state: of a model that keeps an `adjacency`.
        channels: C of the input.
    """
    return len(state["data_norm.bias"]) // (state["adjacency"].shape[-1] * channels)
