"""Parameters of the optimisation, and the reference's batch sizes; without torch, for `jobs`."""

from dataclasses import dataclass

REFERENCE_BATCH = 128  # the global batch that `recipe.base_lr` is meant for
NORM_GROUP = 16  # clips of it on each of the reference's 8 devices


@dataclass(frozen=True)
class Optimisation:
    """What a model is optimised with.

    Attributes:
        lr: learning rate of the first step.
        momentum: of SGD.
        nesterov: whether the momentum is Nesterov's.
        weight_decay: of SGD; it acts on every parameter.
        label_smoothing: of the cross entropy, 0 is off.
    """

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
