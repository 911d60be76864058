"""Annotations to the store, with a printed check of what is in it."""

from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning.experiment import (
    check_values,
    console,
    open_store_of,
    plain,
)
from stgcn_lightning.skeleton import Skeleton


def prepare(cfg: DictConfig) -> None:
    """Build the store of a benchmark, downloaded if need be, and print a check of what is in it."""
    check_values(cfg)
    if cfg.annotations:
        cfg.benchmark.annotations = cfg.annotations
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    store = open_store_of(cfg, skeleton, download=True)
    frames = store.num_frames
    table = Table(title=f"{cfg.benchmark.name}: {store.folder}")
    for column in ("split", "samples", "classes", "two persons and more", "frames (min/mean/max)"):
        table.add_column(column)
    for name, numbers in store.splits.items():
        count, T = len(numbers), frames[numbers]
        several = int((store.num_persons[numbers] > 1).sum())
        table.add_row(
            name,
            f"{count}",
            f"{len(store.labels[numbers].unique())}",
            f"{several} ({100 * several / count:.0f} %)",
            f"{T.min()} / {T.double().mean():.1f} / {T.max()}",
        )
    console.print(table)
    size = store.frames.numel() * store.frames.element_size()
    console.print(
        f"{len(store.ids)} samples, {skeleton.num_joints} joints ({skeleton.name}), "
        f"{store.frames.dtype}".replace("torch.", "")
        + f", {size / 1e6:.1f} MB"
    )
    for split in (cfg.benchmark.train_split, cfg.benchmark.val_split):
        store.split(split)
