"""From a composed configuration to objects: store, data, model, trainer.

Nothing here knows how the configuration (conf/) was composed.
"""

import logging
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from filelock import FileLock
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console

from stgcn_lightning import ranks
from stgcn_lightning.callbacks.bars import Bars
from stgcn_lightning.callbacks.checkpoint_files import CheckpointFiles
from stgcn_lightning.callbacks.speed import Speed
from stgcn_lightning.checkpoints.zoo import checkpoint_file
from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.data.holdout import held_out_subjects, subjects_of
from stgcn_lightning.data.store import Store, StoreSpec, explaining_where, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.downloads import Downloads, fetch
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import COMPILE_MODES, STGCN, forward_macs
from stgcn_lightning.recognizer import NORM_GROUP, REFERENCE_BATCH
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations
from stgcn_lightning.sources.synthetic import VERSION, synthetic_annotations

# file and sample names are printed as they are, not read as markup
console = Console(soft_wrap=True, markup=False, highlight=False, quiet=ranks.global_rank() > 0)

NUMBERS = {  # key -> type, least and largest value
    "seed": (int, 0, 2**32 - 1),
    "data.clip_frames": (int, 1, 100_000),
    "data.test_clips": (int, 1, 10_000),
    "data.persons": (int, 1, 1000),
    "data.batch_size": (int, 1, 1_000_000),
    "data.workers": (int, 0, 1000),
    "model.base_channels": (int, 1, 10_000),
    "model.norm_group": (int, 1, 1_000_000),
    "downloads.timeout": (float, 1e-3, 1e6),
    "downloads.tries": (int, 1, 1000),
    "downloads.wait": (float, 0, 1e6),
    "recipe.lr": (float, 0, 1e30),
    "recipe.base_lr": (float, 0, 1e30),
    "recipe.epochs": (int, 1, 1_000_000),
    "recipe.train_passes_per_epoch": (int, 1, 2**16 - 1),
    "recipe.momentum": (float, 0, 1),
    "recipe.weight_decay": (float, 0, 1e30),
    "recipe.label_smoothing": (float, 0, 1),
    "recipe.dropout": (float, 0, 1),
}
CHOICES = {  # key -> values
    "data.on_bad_sample": ("error", "drop"),
    "data.on_device": (True, False, "auto"),
    "model.compile": (None, *COMPILE_MODES),
    "tf32": (True, False),
    "benchmark.dimension": ("2d", "3d"),
    "model.name": ("stgcn",),
    "recipe.nesterov": (True, False),
    "recipe.scale_lr": (True, False),
    "debug": (True, False, "fast"),
}
TEXTS = ("benchmark.train_split", "benchmark.val_split", "data.store_dir")
FAST = {"limit_train_batches": 2, "limit_val_batches": 2, "limit_test_batches": 2}

# Lightning announces absent accelerators and other products at every start; its warnings stay
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)
# the run directory is never empty, and jobs.training saves what this warns of
warnings.filterwarnings("ignore", "Experiment logs directory .* exists and is not empty")
# a run that is resumed has checkpoints; jobs.training refuses to overwrite another's
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
# it cannot know that ours go on where they were
warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before")
# Lightning 2.6 calls what torch 2.13 has renamed
warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
# torch below 2.13 has no other name for it
warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
# our loader is as fast without workers (docs/benchmarks.md)
warnings.filterwarnings("ignore", "The '.*_dataloader' does not have many workers")


def build(
    cfg: DictConfig, *, test_held_out: bool = False
) -> tuple[Skeleton, list[str], SkeletonData, STGCN]:
    """Skeleton, class names, data and untrained model of a configuration."""
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    share_batch(cfg)
    names = class_names(cfg.benchmark.classes)
    store = open_store_of(cfg, skeleton)
    data = SkeletonData(
        store,
        skeleton.bone_parents,
        cfg.stream.name,
        train_split=cfg.benchmark.train_split,
        val_split=cfg.benchmark.val_split,
        passes=cfg.recipe.train_passes_per_epoch,
        seed=cfg.seed,
        clip_frames=cfg.data.clip_frames,
        test_clips=cfg.data.test_clips,
        persons=cfg.data.persons,
        batch_size=cfg.data.batch_size,
        workers=cfg.data.workers,
        frame_order=cfg.data.frame_order,
        held_out=held_out_numbers(cfg, store),
        test_held_out=test_held_out,
        on_device=cfg.data.on_device,
    )
    if (most := int(store.num_persons.max())) > cfg.data.persons:
        console.print(f"samples hold up to {most} persons; the first {cfg.data.persons} are kept")
    model = STGCN(
        adjacency(skeleton, cfg.model.graph),
        len(names),
        base_channels=cfg.model.base_channels,
        dropout=cfg.recipe.dropout,
        norm_group=cfg.model.norm_group,
        compile_mode=cfg.model.compile,
    )
    # what float32 means on a GPU: PyTorch alone would round convolutions, but not products
    torch.set_float32_matmul_precision("high" if cfg.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = cfg.tf32
    parameters, gmac = cost(model, cfg)
    console.print(
        f"{cfg.model.name}, {cfg.model.base_channels} base channels: {parameters:,} parameters, "
        f"{gmac:.3g} GMAC per clip"
    )
    return skeleton, names, data, model


def share_batch(cfg: DictConfig) -> None:
    """Set the batch of a device where none is given.

    A trainer for several devices keeps the recipe's global batch, however many there are.
    """
    devices = ranks.world_size()
    if cfg.data.batch_size is not None:
        return
    if cfg.trainer.get("strategy", "auto") == "auto":
        cfg.data.batch_size = NORM_GROUP
        return
    if REFERENCE_BATCH % devices:
        raise BadInput(
            f"{devices} devices cannot share a batch of {REFERENCE_BATCH} evenly: set "
            "data.batch_size, of each device"
        )
    cfg.data.batch_size = REFERENCE_BATCH // devices
    if cfg.model.norm_group is None and cfg.data.batch_size > NORM_GROUP:
        cfg.model.norm_group = NORM_GROUP
    groups = f" in norm groups of {cfg.model.norm_group}" if cfg.model.norm_group else ""
    console.print(
        f"batch {REFERENCE_BATCH} = {counted(devices, 'device', 'devices')} x "
        f"{cfg.data.batch_size} clips{groups}"
    )


def held_out_numbers(cfg: DictConfig, store: Store) -> torch.Tensor | None:
    """Numbers of the training samples by `data.holdout_subjects`; None where none are wanted."""
    wanted = plain(cfg.data.holdout_subjects)
    if wanted is None:
        return None
    if not isinstance(wanted, float | list):
        raise BadInput(
            f"data.holdout_subjects={wanted} is neither a list of subjects, [1, 8], nor a share of "
            "them, 0.1"
        )
    numbers = store.split(cfg.benchmark.train_split)
    subjects = subjects_of(store.ids[numbers.numpy()], cfg.benchmark.get("subject"))
    chosen = held_out_subjects(subjects, wanted)
    cfg.data.holdout_subjects = chosen.tolist()
    return numbers[torch.from_numpy(np.isin(subjects, chosen))]


def check_values(cfg: DictConfig) -> None:
    """Refuse what is no number, none that makes sense, or none of the choices there are."""
    for key in (*CHOICES, *TEXTS, *NUMBERS):
        check_value(cfg, key)
    if cfg.recipe.nesterov and not cfg.recipe.momentum:
        raise BadInput("recipe.nesterov=true needs momentum: set recipe.nesterov=false as well")


def check_value(cfg: DictConfig, key: str) -> None:
    """Refuse a value of one key of `CHOICES`, `TEXTS` or `NUMBERS`."""
    value = OmegaConf.select(cfg, key)
    if key in TEXTS:
        if not isinstance(value, str) or not value:
            raise BadInput(f"{key}={shown_value(value)} is no name: give one, {key}=NAME")
        return
    if key in CHOICES:
        if not any(value == one and type(value) is type(one) for one in CHOICES[key]):
            names = ", ".join(shown_value(choice) for choice in CHOICES[key])
            raise BadInput(f"{key}={shown_value(value)} is none of {names}")
        return
    kind, least, most = NUMBERS[key]
    if value is None and key in ("recipe.lr", "model.norm_group", "data.batch_size"):
        return
    fits = isinstance(value, int) or (kind is float and isinstance(value, float))
    if isinstance(value, bool) or not fits or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        limit = f"at most {most:g}" if fits and value > most else f"at least {least:g}"
        raise BadInput(f"{key}={value} must be {what} of {limit}")


def build_trainer(cfg: DictConfig, steps: int, loggers: Sequence[Logger] = ()) -> lightning.Trainer:
    """The trainer for epochs of `steps`, with the callbacks of the configuration."""
    fast = cfg.debug == "fast"
    callbacks = [instantiate(one) for one in callbacks_of(cfg).values() if one is not None]
    if not loggers:  # nobody to tell
        callbacks = [c for c in callbacks if not isinstance(c, LearningRateMonitor | Speed)]
    return instantiate(
        trainer_of(cfg),
        max_epochs=epochs_of(cfg),
        log_every_n_steps=min(steps, 1 if fast else cfg.trainer.log_every_n_steps),
        default_root_dir=cfg.run_dir,
        logger=list(loggers),
        callbacks=callbacks + bars(),
        plugins=[CheckpointFiles()],
        enable_progress_bar=False,  # Lightning's own
        **(FAST if fast else {}),
    )


def trainer_of(cfg: DictConfig) -> DictConfig:
    """The trainer's configuration, with as many devices as there are ranks if there are several.

    Raises:
        BadInput: it has no strategy for several.
    """
    if ranks.world_size() == 1:
        return cfg.trainer
    if cfg.trainer.get("strategy", "auto") == "auto":
        raise BadInput(
            f"{ranks.world_size()} devices train together with trainer=ddp, ddp_cpu or slurm, not "
            "with this trainer"
        )
    local = ranks.local_world_size()
    size = {"devices": local, "num_nodes": ranks.world_size() // local}
    merged = OmegaConf.merge(cfg.trainer, size)
    assert isinstance(merged, DictConfig)
    return merged


def bars() -> list[Callback]:
    """Progress bars, where a person looks on."""
    return [Bars(console)] if sys.stdout.isatty() and not console.quiet else []


def callbacks_of(cfg: DictConfig) -> dict[str, Any]:
    """The configured callbacks; with subjects held out, they select the best checkpoint.

    What the validation split would have selected is kept beside it, to show the difference.
    """
    callbacks = dict(cfg.callbacks)
    if cfg.data.holdout_subjects is not None and "best" in callbacks:
        best = callbacks["best"]
        # before `last`, which saves their scores with the state
        callbacks = {"best_on_val": {**best, "filename": "best_on_val"}, **callbacks}
        callbacks["best"] = {**best, "monitor": "holdout/top1"}
    return callbacks


def epochs_of(cfg: DictConfig) -> int:
    """How many epochs a run has in all."""
    return 1 if cfg.debug == "fast" else cfg.recipe.epochs


def cost(model: STGCN, cfg: DictConfig) -> tuple[int, float]:
    """Parameters, and multiply-accumulates (10^9) of a clip."""
    macs = forward_macs(model, cfg.data.clip_frames, cfg.data.persons)
    return sum(p.numel() for p in model.parameters()), macs / 1e9


def checkpoint_of(cfg: DictConfig, key: str = "checkpoint", value: Any = None) -> Path:
    """The file that `checkpoint=` (or `value`) names; one of the zoo is downloaded if need be."""
    named = path_of(key, cfg.checkpoint if value is None else value)
    return checkpoint_file(str(named), downloads_of(cfg), console)


def downloads_of(cfg: DictConfig) -> Downloads:
    """Where published files come from and go to."""
    settings = plain(cfg.downloads)
    if not isinstance(settings["address"], str):
        raise BadInput(f"downloads.address={settings['address']} must be text")
    return Downloads(**settings | {"folder": path_of("downloads.folder", settings["folder"])})


def open_store_of(cfg: DictConfig, skeleton: Skeleton, *, download: bool = False) -> Store:
    """The store of the benchmark's annotations, built (or synthesised) first if need be.

    With `download`, annotations that are neither there nor in a store are fetched if the benchmark
    says where they are published; not under another name, which is more likely misspelt.
    """
    benchmark = cfg.benchmark
    root = path_of("data.store_dir", cfg.data.store_dir)
    if benchmark.get("synthetic") and benchmark.annotations:
        raise BadInput(
            f"benchmark {benchmark.name} makes its own annotations: choose the benchmark that "
            f"{benchmark.annotations} belongs to, benchmark=NAME"
        )
    if benchmark.get("synthetic"):
        annotations = synthesise(benchmark, root)
    elif not benchmark.annotations:
        raise BadInput(
            f"say where the annotations of {benchmark.name} are: benchmark.annotations=FILE"
            + from_raw(benchmark)
        )
    else:
        annotations = path_of("benchmark.annotations", benchmark.annotations)
    spec = StoreSpec(
        skeleton=skeleton,
        dimension=benchmark.dimension,
        normalise=benchmark.normalise,
        classes=len(class_names(benchmark.classes)),
        on_bad_sample=cfg.data.on_bad_sample,
    )
    try:
        store = open_or_build(annotations, spec, root)
    except FileNotFoundError as error:
        source = benchmark.get("download")
        if not download or not source or Path(source).name != annotations.name:
            command = f"python -m stgcn_lightning.prepare benchmark={benchmark.name}"
            remedy = f"{command} downloads the published one, or set" if source else "set"
            raise BadInput(
                f"there is no annotation file {annotations}: {remedy} benchmark.annotations=FILE"
                + from_raw(benchmark)
            ) from error
        fetch(source, annotations, read_annotations, downloads_of(cfg), console)
        store = open_or_build(annotations, spec, root)
    if store.persons_cut:
        console.print(f"{store.persons_cut} samples hold more than two persons: two are kept")
    if store.dropped:
        total = len(store.ids) + len(store.dropped)
        console.print(f"{len(store.dropped)} of {total} samples are dropped:")
        for line in store.dropped[:5]:
            console.print(f"  {line}")
        if len(store.dropped) > 5:
            console.print(f"  all of them are listed in {shown(store.folder / 'manifest.json')}")
    return store


def from_raw(benchmark: DictConfig) -> str:
    """How else a benchmark comes by its annotations: the end of a sentence, mostly empty."""
    if not benchmark.get("skeleton_files"):
        return ""
    return ", or make it from NTU RGB+D's .skeleton files with the prepare door, raw=DIR"


def synthesise(benchmark: DictConfig, root: Path) -> Path:
    """Write the embedded data set's annotations under `root`, once."""
    size = plain(benchmark.synthetic)
    if not isinstance(size, dict):
        raise BadInput(
            f"benchmark.synthetic={size} is no table of sizes: "
            "set benchmark.synthetic.train_samples and benchmark.synthetic.val_samples"
        )
    for name, value in size.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadInput(f"benchmark.synthetic.{name}={value} must be a whole number")
    text = "_".join(str(value) for value in size.values())
    path = root / f"synthetic_{benchmark.dimension}_v{VERSION}_{text}.pkl"
    with explaining_where(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{path.name}.lock"):
            if not path.exists():
                write_annotations(path, synthetic_annotations(benchmark.dimension, **size))
    return path


def class_names(classes: int | str | list[str] | ListConfig) -> list[str]:
    """Names of the classes, from a list, a file with one name a line, or their number."""
    if not isinstance(classes, int | str | list | ListConfig) or isinstance(classes, bool):
        raise BadInput(
            f"benchmark.classes={classes} is no number, list of names, or file with one name a line"
        )
    if isinstance(classes, int):
        names = [str(i) for i in range(classes)]
    elif isinstance(classes, str):
        path = path_of("benchmark.classes", classes)
        if not path.is_file():
            raise BadInput(
                f"benchmark.classes={classes} is no file: give a number, a list of names, or a "
                "file with one name a line"
            )
        names = path.read_text().split("\n")
        names = [name.strip() for name in names if name.strip()]
    else:
        names = [str(name) for name in classes]
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadInput(f"benchmark.classes={classes} must be at least 2 classes, each named once")
    return names


def learning_rate(recipe: DictConfig, batch: int) -> float:
    """`recipe.lr` as given, or `recipe.base_lr` scaled from a global batch of 128 to `batch`."""
    if recipe.lr is not None:
        console.print(f"lr {recipe.lr:g} (as given, batch {batch})")
        return recipe.lr
    if not recipe.scale_lr:
        console.print(f"lr {recipe.base_lr:g} (not scaled, batch {batch})")
        return recipe.base_lr
    lr = recipe.base_lr * batch / REFERENCE_BATCH
    console.print(f"lr {recipe.base_lr:g} -> {lr:g} (batch {REFERENCE_BATCH} -> {batch})")
    return lr


def model_card(cfg: DictConfig, skeleton: Skeleton, names: list[str]) -> dict[str, Any]:
    """Plain values with which a checkpoint can be used without its training configuration."""
    return {
        "version": version("stgcn_lightning"),
        "model": plain(cfg.model),
        "skeleton": skeleton.to_dict(),
        "classes": names,
        "stream": cfg.stream.name,
        "benchmark": cfg.benchmark.name,
        "dimension": cfg.benchmark.dimension,
        "normalise": cfg.benchmark.normalise,
        "clip_frames": cfg.data.clip_frames,
        "test_clips": cfg.data.test_clips,
        "persons": cfg.data.persons,
        "held_out_subjects": plain(cfg.data.holdout_subjects),
    }


def build_tester(cfg: DictConfig) -> lightning.Trainer:
    """A trainer that logs and saves nothing."""
    return instantiate(
        trainer_of(cfg),
        logger=False,
        enable_checkpointing=False,
        callbacks=bars(),
        enable_progress_bar=False,  # Lightning's own
        default_root_dir=cfg.run_dir,
        **(FAST if cfg.debug == "fast" else {}),
    )


@contextmanager
def passing_on_ctrl_c(trainer: lightning.Trainer) -> Generator[None]:
    """Lightning ends the process with status 1 after Ctrl-C; the doors have their own."""
    try:
        yield
    except SystemExit as end:
        if trainer.interrupted and end.code == 1:
            raise KeyboardInterrupt from None
        raise


def path_of(key: str, value: Any) -> Path:
    """The path that a user gave as `key`; ``~`` is the home directory."""
    if not isinstance(value, str) or not value:
        raise BadInput(f"{key}={shown_value(value)} is no path: give a file or folder")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~nobody
        raise BadInput(f"{key}={value} cannot be found: there is no such user") from error


def shown(path: Path) -> Path:
    """`path` as it is printed: relative to the working directory if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def counted(number: int, one: str, many: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{number} {one if number == 1 else many}"


def shown_value(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(node: Any) -> Any:
    """A configuration node as plain Python values."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
