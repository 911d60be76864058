"""Answers frame by frame: every frame of a person costs one frame.

Axes: R persons, M persons of a clip, V joints, C channels, F features.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stgcn_lightning.engine.continual import Continual
from stgcn_lightning.streaming.preparing import Preparing

Frame = NDArray[np.float32]


class FrameByFrame:
    """Keeps persons as rows of a continual network, and classifies their mean features.

    Args:
        network: the continual form.
        preparing: frames as the network takes them.
        classify: features of persons (N, M, F) -> logits (N, classes).
        absent: (F,) features of a person who is not there, as in a clip of the training.
        persons: M.
        together: all persons are one answer.

    Attributes:
        delay: frames by which the newest feature of an answer is late.
    """

    def __init__(
        self,
        network: Continual,
        preparing: Preparing,
        *,
        classify: nn.Linear,
        absent: Tensor,
        persons: int,
        together: bool,
    ):
        self.network, self.preparing, self.classify = network, preparing, classify
        self.absent, self.persons, self.together = absent, persons, together
        self.delay = network.delay + preparing.delay
        self.rows: list[Hashable] = []  # who is which row of the network
        self.people: dict[Hashable, None] = {}  # in the order of their arrival
        self.shape = (0, 0)  # (V, C) of a person

    def leave(self, person: Hashable) -> None:
        """Forget a person."""
        del self.people[person]
        self.preparing.leave(person)
        if person in self.rows:
            row = self.rows.index(person)
            self.network.leave(row)
            self.rows[row] = self.rows[-1]
            self.rows.pop()

    @torch.inference_mode()
    def step(
        self, bodies: Mapping[Hashable, Frame], wanted: Sequence[Hashable]
    ) -> dict[Hashable, NDArray[np.float32]]:
        """Take a frame; scores of those persons `wanted` of whom there are new features."""
        self.people |= dict.fromkeys(bodies)
        if not self.people:
            return {}
        order = [*self.rows, *(one for one in self.people if one not in self.rows)]
        for body in bodies.values():
            self.shape = body.shape
        away = np.zeros(self.shape, np.float32)
        frame = np.stack([bodies.get(one, away) for one in order])
        whose, stream = self.preparing(order, frame)
        for person in whose[len(self.rows) :]:
            self.network.arrive()
            self.rows.append(person)
        if not self.rows:
            return {}
        features = self.network.step(stream.to(self.absent))  # R, F
        if features is None:
            return {}
        ready = dict(zip(self.rows, self.network.ready, strict=True))
        judged = [one for one in wanted if ready.get(one)]
        if not judged:
            return {}
        of = torch.tensor([self.rows.index(one) for one in judged], device=features.device)
        clips = self.absent.repeat(1 if self.together else len(judged), self.persons, 1)  # N, M, F
        if self.together:
            there = of[: self.persons]
            clips[0, : len(there)] = features[there]
        else:
            clips[:, 0] = features[of]
        scores = self.classify(clips).float().softmax(-1).cpu().numpy()
        if self.together:
            return {person: scores[0] for person in wanted}  # noqa: C420, whose type is another
        return dict(zip(judged, scores, strict=True))
