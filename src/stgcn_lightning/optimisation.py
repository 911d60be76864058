"""How `recipe.Optimisation` is carried out: optimizer, schedule, accumulated batches, frozen parts.

Plain functions and small classes, which the recognizer calls; what a checkpoint says of them is
read here, too.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stgcn_lightning.errors import BadInput
from stgcn_lightning.recipe import Optimisation

DEFAULT = Optimisation()
HYPER_PARAMETERS = "hyper_parameters"  # Lightning's key of a checkpoint for them
HEAD = "classify"  # what recipe.freeze=backbone leaves to be trained
WORDS = {"optimizer": ("sgd", "adamw"), "freeze": (None, "backbone")}  # other keys are numbers


def optimizer_of(
    model: nn.Module, optimisation: Optimisation, *, fused: bool
) -> torch.optim.Optimizer:
    """SGD or AdamW on the parameters that are trained; `fused`: all in one call."""
    trained = [one for one in model.parameters() if one.requires_grad]
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimisation.optimizer]
    return kind(trained, lr=optimisation.lr, **besides_rate(optimisation), fused=fused)


def besides_rate(optimisation: Optimisation) -> dict[str, Any]:
    """The optimizer's parameters but for its rate."""
    own = {"sgd": ("momentum", "nesterov"), "adamw": ("betas",)}[optimisation.optimizer]
    return {name: getattr(optimisation, name) for name in (*own, "weight_decay")}


def cosine(step: int, steps: int) -> float:
    """Share of the learning rate left at `step` of `steps`: half a cosine, 1 at step 0.

    The last step is ``steps - 1``, so it is small but not zero, as in the reference.
    """
    return (1 + math.cos(math.pi * step / steps)) / 2


class Accumulation:
    """The batches whose gradients make one step, as if they were one large batch.

    Lightning divides the loss of each by the number of batches of a whole group. That is right for
    a whole group of equal batches. A batch that is smaller than the first one counts less here, and
    the gradients of a group that the epoch's end cuts short are scaled up before their step. What
    a batch counts is its mass: its clips, or the sum of their class weights.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nothing of a group is there yet."""
        self.first: Any = None  # mass of its first batch
        self.mass: Any = 0.0
        self.loss: Any = 0.0  # summed, each times its mass

    def add(self, loss: Tensor, mass: Any) -> Tensor:
        """Add a batch with its mean loss; returns the loss to be differentiated."""
        self.first = mass if self.first is None else self.first
        self.mass, self.loss = self.mass + mass, self.loss + loss.detach() * mass
        return loss * (mass / self.first)

    @property
    def mean(self) -> Tensor:
        """Mean loss of the group so far."""
        return self.loss / self.mass

    def end(self, optimizer: torch.optim.Optimizer, whole: int) -> None:
        """Make the gradients those of the group's mean loss; a next group begins.

        Args:
            optimizer: holds them.
            whole: number of batches of a whole group, by which each loss was divided.
        """
        factor = whole * self.first / self.mass
        for group in optimizer.param_groups:
            for one in group["params"]:
                if one.grad is not None:
                    one.grad.mul_(factor)
        self.begin()


def freeze(model: nn.Module) -> None:
    """Keep the weights of all but the head; `hold` keeps the statistics."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.split(".")[0] == HEAD)


def hold(model: nn.Module) -> None:
    """Have frozen parts normalise with the statistics that they have, and drop nothing."""
    for name, part in model.named_children():
        if name != HEAD:
            part.eval()


def trained_with(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values of `Optimisation` and the dropout that a checkpoint of ours was trained with.

    Version 0.1.0 saved them in the optimiser's state alone, without smoothing and dropout.

    Raises:
        BadInput: one of them is not what it may be.
    """
    found: dict[str, Any] = asdict(DEFAULT) | {"dropout": 0.0}
    saved = content.get(HYPER_PARAMETERS)
    try:
        if saved is None:
            saved = content["optimizer_states"][0]["param_groups"][0]
            saved = {**saved, "lr": saved["initial_lr"]}
        saved = dict(saved)
    except (KeyError, IndexError, TypeError, ValueError):
        raise BadInput(f"{path} does not say what it was trained with: train it again") from None
    for key in found:
        value = saved.get(key, found[key])
        if wrong := _wrong(key, value):
            raise BadInput(
                f"{path} was trained with {key}={value}, which is {wrong}: train it again"
            )
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


def _wrong(key: str, value: Any) -> str:
    """What is wrong with a saved value; empty if nothing is."""
    if key in WORDS:
        return "" if value in WORDS[key] else "unknown here"
    if value is None:
        return "" if key in ("momentum", "nesterov", "betas", "class_weights") else "no number"
    if key in ("betas", "class_weights"):
        fine = isinstance(value, list | tuple) and all(type(one) in (int, float) for one in value)
        return "" if fine else "no list of numbers"
    kinds = (bool,) if key == "nesterov" else (int, float)
    return "" if type(value) in kinds else "no number"
