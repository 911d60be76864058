"""The groups of keys that the doors share, each with its fields as `fields.py` declares them.

Ranges and choices stand here and nowhere else, but for names that a lower room knows and checks
itself, because more may be registered there: graphs, streams, frame orders, normalisations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stgcn_lightning.data.names import MODES, STREAMS, TEST_SAMPLINGS
from stgcn_lightning.engine.modes import COMPILE_MODES
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.settings import fields
from stgcn_lightning.settings.backbones import BACKBONE_OPTIONS
from stgcn_lightning.settings.frozen import frozen, thawed
from stgcn_lightning.terminal import shown_value


def check_subjects(key: str, value: Any) -> Any:
    """Return a list of subjects or a share of them, or raise BadInput."""
    if not isinstance(value, float | list | tuple):
        raise BadInput(
            f"{key}={value} is neither a list of subjects, [1, 8], nor a share of them, 0.1"
        )
    if not isinstance(value, float):
        fields.names(key, value, numbers=True)
    return frozen(value)


def check_address(key: str, value: Any) -> str:
    """Return an address, or raise BadInput if it is no text."""
    if not isinstance(value, str):
        raise BadInput(f"{key}={value} must be text")
    return value


def check_folder(key: str, value: Any) -> str:
    """Return a path as it was given, or raise BadInput; `~` is looked for when it is needed."""
    return value if isinstance(value, str) and value else str(fields.path_of(key, value))


@dataclass(frozen=True)
class Benchmark:
    """A data set with the protocol that divides it and the dimension of its coordinates."""

    name: str = fields.name("name in reports and published figures")
    annotations: str | None = fields.anything(
        "file of the annotations; required unless they are synthetic", "a path"
    )
    dimension: Literal["2d", "3d"] = fields.choice("dimension of the coordinates", "2d", "3d")
    normalise: str = fields.anything(
        "normalisation of the coordinates (docs/data.md)", ", ".join(MODES)
    )
    train_split: str = fields.name("split of the annotations to train on")
    val_split: str | None = fields.name(
        "split to validate and test on",
        null="train without validation, or validate on the subjects held out",
    )
    classes: int | str | tuple[Any, ...] | None = fields.anything(
        "classes in the order of their labels",
        "a list of names, a file with one name a line, or their number",
    )
    subject: str | None = fields.anything(
        "pattern that finds the subject in a sample's id, by its first group",
        "a regular expression",
    )
    synthetic: Mapping[str, Any] | None = fields.anything(
        "sizes of the embedded data set, which is made and not read", "a group of whole numbers"
    )
    download: str | None = fields.anything("address of the published annotations", "an address")
    skeleton_files: str | None = fields.anything(
        "data set whose .skeleton files the annotations can be made from", "ntu60, ntu120"
    )
    source: Any = fields.anything(
        "reader of the annotations",
        "the name of a source, its name with its options, or _target_: module.function",
    )
    reading: Mapping[str, Any] | None = fields.anything(
        "how the recordings that the annotations were made of were read; for predict",
        "keys of reading, and map",
    )


@dataclass(frozen=True)
class Stream:
    """The function of the joints that is trained on."""

    name: str = fields.checked(
        "name of the stream", f"{', '.join(STREAMS)}, or your own", fields.text
    )
    target: str | None = fields.anything(
        "function that makes a stream of your own", "module.function", key="_target_"
    )
    options: Mapping[str, Any] = fields.rest(
        "argument of the function that makes a stream of your own"
    )

    def __post_init__(self) -> None:
        """Refuse arguments of a function that is not there."""
        if self.options and self.target is None:
            raise BadInput(
                f"there is no key stream.{min(self.options)}: a stream of your own has arguments, "
                "stream._target_=MODULE.FUNCTION"
            )


@dataclass(frozen=True)
class Data:
    """How clips are fed."""

    clip_frames: int = fields.whole("frames of a clip", 1, 100_000, unit="frames")
    test_clips: int = fields.whole("clips of a sample whose scores a test averages", 1, 10_000)
    test_sampling: str = fields.choice(
        "whose law the frames of a test follow: MMAction2's, PYSKL's, or PYSKL's for DG-STGCN and "
        "ProtoGCN, by which short samples start at a random frame",
        *TEST_SAMPLINGS,
    )
    persons: int = fields.whole(
        "persons of a clip; further ones are cut, absent ones are zero", 1, 1000
    )
    batch_size: int | None = fields.whole(
        "samples of a batch on each device", 1, 1_000_000,
        null="16, or with several devices their part of recipe.reference_batch",
    )  # fmt: skip
    workers: int = fields.whole("loader processes of each device", 0, 1000)
    on_device: bool | Literal["auto"] = fields.choice(
        "keep all frames on the GPU; auto: if they fill at most half of its free memory",
        True, False, "auto",
    )  # fmt: skip
    store_dir: str = fields.name("folder of the checked and normalised data sets")
    on_bad_sample: Literal["error", "drop"] = fields.choice(
        "what to do about a sample with NaN or a bad label", "error", "drop"
    )
    missing: Literal["error", "zero", "interpolate"] = fields.choice(
        "what becomes of joints that were not found, marked by NaN, by 0 or by -1; error: NaN is "
        "refused and the others are used as they are",
        "error", "zero", "interpolate",
    )  # fmt: skip
    max_frames: int | None = fields.whole(
        "frames of a sample at most; data.on_bad_sample says what becomes of longer ones",
        1, 2**40, unit="frames", null="any length",
    )  # fmt: skip
    holdout_subjects: float | tuple[Any, ...] | None = fields.checked(
        "training subjects held out to select the checkpoint by, samples without benchmark.subject",
        "a list, or a share between 0 and 1",
        check_subjects,
        null="none",
    )
    frame_order: str = fields.anything(
        "order of a clip's frames; shuffled and single remove the motion",
        "ordered, shuffled, single",
    )


@dataclass(frozen=True)
class Model:
    """The backbone, and how it is computed.

    Attributes:
        options: further arguments of the backbone's constructor, by name.
    """

    name: str = fields.anything(
        "name of the backbone, also in checkpoints and reports",
        f"{', '.join(registry.OURS)}, or your own",
    )
    graph: str = fields.anything(
        "neighbour subsets of the graph convolution (graph.py)",
        "stgcn_spatial, spatial, binary_adj, none",
    )
    compile: str | None = fields.choice(
        "mode of torch.compile; null: not compiled", None, *COMPILE_MODES
    )
    norm_group: int | None = fields.whole(
        "clips that share batch-norm statistics", 1, 1_000_000, unit="clips",
        null="the batch of a device; 16 where devices share the batch and have more",
    )  # fmt: skip
    target: str | None = fields.anything(
        "class of a backbone of your own", "module.Class", key="_target_"
    )
    options: Mapping[str, Any] = fields.rest(
        "argument of the backbone's constructor", BACKBONE_OPTIONS
    )

    def __post_init__(self) -> None:
        """Check what our own backbones allow."""
        if self.target is not None:
            fields.text("model._target_", self.target)
            fields.text("model.name", self.name)
            return
        # a description of a checkpoint may leave it open
        if self.name is not None and self.name not in registry.names():
            raise BadInput(
                f"model.name={self.name} is none of {', '.join(registry.names())}; one of your own "
                "needs the configuration that registers it: model=NAME --config-dir=FOLDER"
            )
        for name, stated in BACKBONE_OPTIONS.items():
            if name in self.options:
                stated.take(f"model.{name}", self.options[name])

    def card(self, norm_group: int | None) -> dict[str, Any]:
        """The model as a checkpoint's card has it, with the norm group that was used."""
        options = thawed(self.options)
        named = {"name": self.name, "graph": self.graph, "compile": self.compile}
        return named | {"norm_group": norm_group} | options


def listed(value: Any) -> list[Any]:
    """The items of a list; none of anything else."""
    return list(value) if isinstance(value, list | tuple) else []


def check_betas(key: str, value: Any) -> tuple[float, float]:
    """Return the two decay rates of AdamW's means, or raise BadInput."""
    rates = listed(value)
    if len(rates) != 2 or not all(type(one) in (int, float) and 0 <= one < 1 for one in rates):
        raise BadInput(
            f"{key}={shown_value(value)} must be two numbers of at least 0 and below 1: "
            "[0.9, 0.999]"
        )
    return rates[0], rates[1]


def check_class_weights(key: str, value: Any) -> Any:
    """Return ``balanced``, a list of weights or a mapping from names to weights, or BadInput."""
    weights = list(value.values()) if isinstance(value, Mapping) else listed(value)
    fine = all(type(one) in (int, float) and 0 <= one < float("inf") for one in weights)
    if value != "balanced" and not (fine and weights):
        raise BadInput(
            f"{key}={shown_value(value)} is neither balanced, nor a list of numbers of at least 0, "
            "one for each class, nor {NAME: NUMBER}"
        )
    return frozen(value)


@dataclass(frozen=True)
class Recipe:
    """The training schedule."""

    optimizer: Literal["sgd", "adamw"] = fields.choice("what takes the steps", "sgd", "adamw")
    base_lr: float = fields.number(
        "learning rate for a global batch of recipe.reference_batch; if not given, with adamw "
        "0.001",
        0, 1e30,
    )  # fmt: skip
    reference_batch: int = fields.whole(
        "global batch that base_lr is for, and that several devices share", 1, 1_000_000,
        unit="clips",
    )  # fmt: skip
    scale_lr: bool = fields.choice("scale base_lr with the global batch", True, False)
    lr: float | None = fields.number(
        "learning rate of the first step", 0, 1e30, null="base_lr, scaled or not"
    )
    epochs: int = fields.whole("epochs of a run in all", 1, 1_000_000)
    train_passes_per_epoch: int = fields.whole(
        "how often an epoch goes through the training split", 1, 2**16 - 1
    )
    accumulate: int = fields.whole(
        "batches whose gradients make one step; the global batch is so many times larger",
        1,
        100_000,
    )
    momentum: float | None = fields.number("momentum of SGD", 0, 1, null="with adamw")
    nesterov: bool | None = fields.choice(
        "Nesterov momentum of SGD; null: with adamw", True, False, None
    )
    betas: tuple[float, float] | None = fields.checked(
        "decay rates of AdamW's two means; if not given, [0.9, 0.999]",
        "[NUMBER, NUMBER]",
        check_betas,
        null="with sgd",
    )
    weight_decay: float = fields.number(
        "weight decay, on every parameter; if not given, with adamw 0.01", 0, 1e30
    )
    label_smoothing: float = fields.number("label smoothing of the cross entropy", 0, 1)
    dropout: float = fields.number("share of the pooled features that dropout sets to zero", 0, 1)
    class_weights: Any = fields.checked(
        "weights of the classes in the cross entropy of training; balanced: in inverse proportion "
        "to their samples",
        "balanced, a list of numbers, or {NAME: NUMBER}",
        check_class_weights,
        null="all count alike",
    )
    sampling: Literal["uniform", "balanced"] = fields.choice(
        "what an epoch draws equally often: every sample (uniform) or every class (balanced)",
        "uniform", "balanced",
    )  # fmt: skip
    freeze: Literal["backbone"] | None = fields.choice(
        "what keeps the weights and statistics that checkpoint=FILE gives it; backbone: all but "
        "the head",
        None, "backbone",
    )  # fmt: skip
    scale: float = fields.number(
        "training bodies (3D): scaled along each axis by a random factor from 1 - scale to "
        "1 + scale",
        0, 0.99,
    )  # fmt: skip
    rotate: float = fields.number(
        "training bodies (3D): turned about each axis by a random angle from -rotate to rotate",
        0, 3.15, unit="radians",
    )  # fmt: skip
    flip: float = fields.number(
        "probability that left and right joints of a training body exchange places", 0, 1
    )
    drop_limb: float = fields.number(
        "probability that a training body lacks a limb: joints of one side that bones join, of "
        "ntu25 an arm or a leg",
        0, 1,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse what the optimizer does not have, and Nesterov's form of no momentum."""
        own = {"sgd": ("momentum", "nesterov"), "adamw": ("betas",)}
        for optimizer, names in own.items():
            for name in names:
                value, ours = getattr(self, name), optimizer == self.optimizer
                if ours and value is None:
                    raise BadInput(f"recipe.{name}=null: {optimizer} needs it, give a value")
                if not ours and value is not None:
                    raise BadInput(
                        f"recipe.{name}={shown_value(thawed(value))} is of {optimizer}: leave it "
                        f"out, or set recipe.optimizer={optimizer}"
                    )
        if self.nesterov and not self.momentum:
            raise BadInput("recipe.nesterov=true needs momentum: set recipe.nesterov=false as well")


@dataclass(frozen=True)
class Downloads:
    """Downloads of what MMAction2 and PYSKL publish: addresses, folder, tries."""

    address: str = fields.checked(
        "address of what MMAction2 publishes, or of a mirror", "an address", check_address
    )
    pyskl: str = fields.checked(
        "address of what PYSKL publishes, or of a mirror", "an address", check_address
    )
    folder: str = fields.checked("folder of downloaded files", "a path", check_folder)
    timeout: float = fields.number(
        "time without a byte after which a transfer has failed", 1e-3, 1e6, unit="seconds"
    )
    tries: int = fields.whole("tries before giving up, counted again after new bytes", 1, 1000)
    wait: float = fields.number(
        "time before the second try, doubled before each further one", 0, 1e6, unit="seconds"
    )


def check_picture(key: str, value: Any) -> tuple[int, int]:
    """Return (height, width) in pixels, or raise BadInput."""
    if (
        not isinstance(value, list | tuple)
        or len(value) != 2
        or not all(isinstance(side, int) and not isinstance(side, bool) for side in value)
        or not min(value) >= 1
    ):
        raise BadInput(f"{key}={value} is no size of a picture: give [height, width] in pixels")
    return value[0], value[1]


@dataclass(frozen=True)
class Reading:
    """What key-point files do not say themselves."""

    format: str = fields.anything(
        "format of the key-point files", "auto, or a name (docs/sources.md)"
    )
    skeleton: str | None = fields.name(
        "skeleton of the joints in files that do not name them", null="found out by their number"
    )
    unit: str | None = fields.choice(
        "unit of the coordinates; null: as the format says, or found out",
        None, "pixels", "picture", "signed", "metres", "centimetres", "millimetres",
    )  # fmt: skip
    y: str | None = fields.choice(
        "direction in which y grows; null: as the format says", None, "down", "up"
    )
    img_shape: tuple[int, int] | None = fields.checked(
        "size of the pictures", "[height, width] in pixels", check_picture,
        null="as the file says, or assumed",
    )  # fmt: skip
    fps: float | None = fields.number(
        "frames per second", 1e-3, 1e5, null="as the file says, or unknown"
    )
    least_score: float | None = fields.number(
        "joints of a lower confidence are not found", 0, 1, null="as is usual for the format"
    )
    persons: int | None = fields.whole(
        "persons of a recording that are kept, those who move most", 1, 1000, null="all"
    )
    gap: int = fields.whole(
        "frames for which a person may be away and remain the same", 0, 100_000, unit="frames"
    )
