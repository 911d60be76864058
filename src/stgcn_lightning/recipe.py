"""Parameters of the optimisation, and of the reference's norm groups; without torch."""

from dataclasses import dataclass
from typing import Literal

NORM_GROUP = 16  # clips on each of the reference's devices


@dataclass(frozen=True)
class Optimisation:
    """What a model is optimised with.

    Attributes:
        lr: learning rate of the first step.
        momentum: of SGD; None with AdamW.
        nesterov: whether the momentum is Nesterov's; None with AdamW.
        weight_decay: of SGD or AdamW; it acts on every parameter.
        label_smoothing: of the cross entropy, 0 is off.
        optimizer: what takes the steps.
        betas: decay rates of AdamW's means of gradients and of their squares; None with SGD.
        class_weights: (classes,) weights of the classes in the cross entropy of training; None: all
            count alike.
        freeze: ``backbone`` keeps all but the head as it is; None trains everything.
    """

    lr: float = 0.1
    momentum: float | None = 0.9
    nesterov: bool | None = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    betas: tuple[float, float] | None = None
    class_weights: tuple[float, ...] | None = None
    freeze: Literal["backbone"] | None = None
