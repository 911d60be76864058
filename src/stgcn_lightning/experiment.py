"""From a composed configuration to objects, and the jobs behind the front doors.

Every function takes the configuration that a door composed (conf/), and nothing here knows how it
was composed.
"""

import logging
import shutil
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from stgcn_lightning.data.annotations import write_annotations
from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build
from stgcn_lightning.data.synthetic import synthetic_annotations
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import PRESETS, fuse, top1_interval
from stgcn_lightning.evaluation.metrics import NAMES, accuracies
from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.files import read_checkpoint, sha256
from stgcn_lightning.graph import adjacency
from stgcn_lightning.model.checkpoint import check_graph, from_reference, is_reference
from stgcn_lightning.model.stgcn import STGCN, forward_macs
from stgcn_lightning.recognizer import REFERENCE_BATCH, Recognizer
from stgcn_lightning.skeleton import Skeleton

console = Console(soft_wrap=True)
NUMBERS = {  # key -> type, least value
    "seed": (int, 0),
    "data.clip_frames": (int, 1),
    "data.test_clips": (int, 1),
    "data.persons": (int, 1),
    "data.batch_size": (int, 1),
    "data.workers": (int, 0),
    "model.base_channels": (int, 1),
    "recipe.lr": (float, 0),
    "recipe.base_lr": (float, 0),
    "recipe.epochs": (int, 1),
    "recipe.train_passes_per_epoch": (int, 1),
    "recipe.momentum": (float, 0),
    "recipe.weight_decay": (float, 0),
    "recipe.label_smoothing": (float, 0),
    "recipe.dropout": (float, 0),
}
FAST = {"limit_train_batches": 2, "limit_val_batches": 2, "limit_test_batches": 2}

# Lightning announces absent accelerators and other products at every start; its warnings stay
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)
# the run directory is never empty, and keep_metrics() saves what this warns of
warnings.filterwarnings("ignore", "Experiment logs directory .* exists and is not empty")
# Lightning 2.6 calls what torch 2.13 has renamed
warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
# our loader is as fast without workers (docs/benchmarks.md)
warnings.filterwarnings("ignore", "The '.*_dataloader' does not have many workers")


def prepare(cfg: DictConfig) -> None:
    """Build the store of a benchmark and print a check of what is in it."""
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    store = open_store_of(cfg, skeleton)
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


def train(cfg: DictConfig) -> dict[str, float]:
    """Train one stream; returns the figures that a sweep summarises."""
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    skeleton, names, data, model = build(cfg)
    run = Path(cfg.run_dir)
    card = model_card(cfg, skeleton, names)
    if cfg.checkpoint:
        fine_tune(model, Path(cfg.checkpoint))
    trainer = build_trainer(cfg, steps=len(data.train_dataloader()))
    recipe = cfg.recipe
    recognizer = Recognizer(
        model,
        ids=data.store.ids,
        classes=len(names),
        lr=learning_rate(recipe, cfg.data.batch_size * trainer.world_size),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        card=card,
    )
    console.print(
        f"{cfg.benchmark.name} {cfg.stream.name}: {len(data.train_numbers)} samples to train on, "
        f"{len(data.val_numbers)} to validate on, {recipe.epochs} epochs of "
        f"{recipe.train_passes_per_epoch} passes; run directory {run}"
    )
    try:
        trainer.fit(recognizer, data, ckpt_path=resume_from(cfg.resume, run), weights_only=True)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k == "val/top1"}
    if cfg.test_after:
        best = run / "checkpoints" / "best.ckpt"
        model.load_state_dict(read_weights(best)[0])
        figures["test/top1"] = run_test(cfg, data, model, names, best, run / "scores.npz")["top1"]
    return figures


def test(cfg: DictConfig) -> None:
    """Test a checkpoint with `data.test_clips` clips, write the scores and print the table."""
    if not cfg.checkpoint:
        raise BadInput("say which weights to test: checkpoint=FILE")
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    checkpoint = Path(cfg.checkpoint)
    state, card = read_weights(checkpoint)
    skeleton, names, data, model = build(cfg)
    refuse_other_card(card, model_card(cfg, skeleton, names), checkpoint)
    load(model, state, checkpoint)
    out = Path(cfg.scores) if cfg.scores else Path(cfg.run_dir) / "scores.npz"
    run_test(cfg, data, model, names, checkpoint, out)


def fuse_scores(cfg: DictConfig) -> None:
    """Fuse the scores of several streams, write them and print each stream beside the fusion."""
    if not cfg.streams:
        raise BadInput("say what to fuse: streams='{joint: a.npz, bone: b.npz}'")
    weights = plain(cfg.weights)
    if cfg.preset is not None and weights is not None:
        raise BadInput(f"preset={cfg.preset} already means weights: give one of the two")
    if cfg.preset is not None:
        if cfg.preset not in PRESETS:
            raise BadInput(f"preset={cfg.preset} is none of {', '.join(PRESETS)}")
        weights = PRESETS[cfg.preset]
    weights = weights or dict.fromkeys(cfg.streams, 1.0)
    streams = {name: read_scores(Path(path)) for name, path in cfg.streams.items()}
    for name, scores in streams.items():
        if scores.ids is None:
            console.print(f"{name}: {cfg.streams[name]} holds no ids, samples are joined by order")
    fused = fuse(streams, weights)
    if fused.ids is None:
        fused = with_numbers_as_ids(fused)
    out = Path(cfg.scores) if cfg.scores else Path(cfg.run_dir) / "scores.npz"
    write_scores(out, fused)

    table = Table()
    for column in ("", "weight", "top-1", "95 % interval", "top-5", "mean class"):
        table.add_column(column, justify="right" if column else "left")
    for name, scores in [*streams.items(), ("fused", fused)]:
        top1, low, high = top1_interval(scores)
        figures = figures_of(scores)
        table.add_row(
            name,
            "" if name == "fused" else f"{weights[name]:g}",
            f"{100 * top1:.2f}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            f"{100 * figures['top5']:.2f}",
            f"{100 * figures['mean_class_accuracy']:.2f}",
            style="bold" if name == "fused" else None,
        )
    console.print(table)
    console.print(f"scores: {out}")


def build(cfg: DictConfig) -> tuple[Skeleton, list[str], SkeletonData, STGCN]:
    """Skeleton, class names, data and untrained model of a configuration."""
    check_numbers(cfg)
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
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
    )
    if (most := int(store.num_persons.max())) > cfg.data.persons:
        console.print(f"samples hold up to {most} persons; the first {cfg.data.persons} are kept")
    model = STGCN(
        adjacency(skeleton, cfg.model.graph),
        len(names),
        base_channels=cfg.model.base_channels,
        dropout=cfg.recipe.dropout,
    )
    parameters, gmac = cost(model, cfg)
    console.print(
        f"{cfg.model.name}, {cfg.model.base_channels} base channels: {parameters:,} parameters, "
        f"{gmac:.2f} GMAC per clip"
    )
    return skeleton, names, data, model


def check_numbers(cfg: DictConfig) -> None:
    """Refuse what is no number, or none that makes sense."""
    for key, (kind, least) in NUMBERS.items():
        value = OmegaConf.select(cfg, key)
        if value is None and key == "recipe.lr":
            continue
        fits = isinstance(value, int) or (kind is float and isinstance(value, float))
        if isinstance(value, bool) or not fits or value < least:
            what = "a whole number" if kind is int else "a number"
            raise BadInput(f"{key}={value} must be {what} of at least {least:g}")


def build_trainer(cfg: DictConfig, steps: int) -> lightning.Trainer:
    """The trainer for epochs of `steps`, with the loggers and callbacks of the configuration."""
    keep_metrics(Path(cfg.run_dir))
    fast = cfg.debug == "fast"
    return instantiate(
        cfg.trainer,
        max_epochs=1 if fast else cfg.recipe.epochs,
        log_every_n_steps=min(steps, 1 if fast else cfg.trainer.log_every_n_steps),
        default_root_dir=cfg.run_dir,
        logger=[instantiate(logger) for logger in cfg.logger.values()],
        callbacks=[instantiate(callback) for callback in cfg.callbacks.values()],
        enable_progress_bar=sys.stdout.isatty(),
        **(FAST if fast else {}),
    )


def cost(model: STGCN, cfg: DictConfig) -> tuple[int, float]:
    """Parameters, and multiply-accumulates (10^9) of a clip."""
    macs = forward_macs(model, cfg.data.clip_frames, cfg.data.persons)
    return sum(p.numel() for p in model.parameters()), macs / 1e9


def open_store_of(cfg: DictConfig, skeleton: Skeleton) -> Store:
    """The store of the benchmark's annotations, built (or synthesised) first if need be."""
    benchmark = cfg.benchmark
    root = Path(cfg.data.store_dir)
    if benchmark.get("synthetic"):
        annotations = synthesise(benchmark, root)
    elif not benchmark.annotations:
        raise BadInput(
            f"say where the annotations of {benchmark.name} are: benchmark.annotations=FILE"
        )
    else:
        annotations = Path(benchmark.annotations)
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
        remedy = f"download {source} and set" if source else "set"
        raise BadInput(
            f"there is no annotation file {error.filename}: {remedy} benchmark.annotations=FILE"
        ) from error
    for line in store.dropped:
        console.print(f"dropped: {line}")
    return store


def synthesise(benchmark: DictConfig, root: Path) -> Path:
    """Write the embedded data set's annotations under `root`, once."""
    size = plain(benchmark.synthetic)
    name = f"synthetic_{benchmark.dimension}_" + "_".join(str(v) for v in size.values())
    path = root / f"{name}.pkl"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        write_annotations(path, synthetic_annotations(benchmark.dimension, **size))
    return path


def class_names(classes: int | str | ListConfig) -> list[str]:
    """Names of the classes, from a list, a file with one name a line, or their number."""
    if isinstance(classes, int):
        names = [str(i) for i in range(classes)]
    elif isinstance(classes, str):
        if not Path(classes).exists():
            raise BadInput(
                f"benchmark.classes={classes} is no file: give a number, a list of names, or a "
                "file with one name a line"
            )
        names = Path(classes).read_text().split("\n")
        names = [name.strip() for name in names if name.strip()]
    else:
        names = [str(name) for name in classes]
    if len(names) < 2:
        raise BadInput(f"benchmark.classes={classes} makes {len(names)} classes; 2 is the least")
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
    }


def refuse_other_card(card: dict[str, Any], ours: dict[str, Any], checkpoint: Path) -> None:
    """Refuse weights that were trained on something else than what they are to be tested on."""
    remedies = {
        "stream": "stream={}",
        "normalise": "benchmark.normalise={}",
        "dimension": "benchmark.dimension={}",
    }
    for key, remedy in remedies.items():
        if key in card and card[key] != ours[key]:
            raise BadInput(
                f"{checkpoint} was trained with {key} {card[key]}, not {ours[key]}: set "
                + remedy.format(card[key])
            )
    if "model" in card and card["model"] != ours["model"]:
        differing = [k for k, v in card["model"].items() if ours["model"].get(k) != v]
        settings = " ".join(f"model.{key}={card['model'][key]}" for key in differing)
        raise BadInput(f"{checkpoint} holds another model: set {settings}")
    if "skeleton" in card and card["skeleton"] != ours["skeleton"]:
        raise BadInput(
            f"{checkpoint} was trained on skeleton {card['skeleton']['name']}, which differs from "
            f"{ours['skeleton']['name']} as configured"
        )


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights under our names, and the card, from a checkpoint of ours, MMAction2's or PYSKL's.

    The file is never unpickled by torch.

    Raises:
        BadInput: there is no such file, or it holds no ST-GCN.
    """
    content = read_checkpoint(path)
    state = content.get("state_dict", content)
    if not isinstance(state, dict):
        raise BadInput(f"{path} holds no state_dict: give a checkpoint of an ST-GCN")
    if is_reference(state):
        return from_reference(state), {}
    prefix = "model."
    ours = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    if "stgcn_lightning" not in content or "stages.0.graph.adjacency" not in ours:
        raise BadInput(f"{path} is no checkpoint of this package, MMAction2's or PYSKL's ST-GCN")
    return ours, content["stgcn_lightning"]


def load(model: STGCN, state: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Load all weights, or say which setting makes the model fit them."""
    width = len(state["stages.0.temporal.conv.bias"])
    classes = len(state["classify.bias"])
    ours = model.state_dict()
    if width != len(ours["stages.0.temporal.conv.bias"]):
        raise BadInput(f"{checkpoint} has {width} base channels: set model.base_channels={width}")
    if classes != len(ours["classify.bias"]):
        raise BadInput(
            f"{checkpoint} knows {classes} classes but the benchmark has "
            f"{len(ours['classify.bias'])}: set benchmark.classes={classes}"
        )
    check_graph(state, model)
    model.load_state_dict(state)


def fine_tune(model: STGCN, checkpoint: Path) -> None:
    """Start from other weights; a head for other classes is left as it is."""
    state, _ = read_weights(checkpoint)
    ours = model.state_dict()
    fitting = {name: value for name, value in state.items() if value.shape == ours[name].shape}
    skipped = [name for name in state if name not in fitting]
    if any(not name.startswith("classify.") for name in skipped):
        load(model, state, checkpoint)  # says what does not fit
    check_graph(state, model)
    model.load_state_dict(fitting, strict=False)
    console.print(
        f"{checkpoint}: {len(fitting)} tensors loaded, "
        f"skipped: {', '.join(skipped) if skipped else 'none'}"
    )


def resume_from(resume: str | None, run: Path) -> str | None:
    """The checkpoint to go on from: ``auto`` takes the run directory's last, if there is one."""
    if resume is None:
        return None
    last = run / "checkpoints" / "last.ckpt" if resume == "auto" else Path(resume)
    if last.exists():
        console.print(f"resuming from {last}")
        return str(last)
    if resume != "auto":
        raise BadInput(f"there is no checkpoint {last} to resume from")
    console.print(f"nothing to resume in {run}: starting afresh")
    return None


def keep_metrics(run: Path) -> None:
    """Put an earlier run's metrics.csv aside, which Lightning's logger would delete."""
    metrics = run / "metrics.csv"
    if metrics.exists():
        parts = len(list(run.glob("metrics_until_resume_*.csv")))
        shutil.move(metrics, run / f"metrics_until_resume_{parts + 1}.csv")


def run_test(
    cfg: DictConfig,
    data: SkeletonData,
    model: STGCN,
    names: list[str],
    checkpoint: Path,
    out: Path,
) -> dict[str, float]:
    """Test `model`, write its scores to `out`, print the table, and return the figures."""
    recognizer = Recognizer(model, ids=data.store.ids, classes=len(names))
    trainer = build_tester(cfg)
    trainer.test(recognizer, data, verbose=False)
    numbers, values = recognizer.test_scores()
    if cfg.debug != "fast" and not torch.equal(numbers, data.val_numbers):
        raise RuntimeError(
            f"{len(numbers)} samples were scored, but the split has {len(data.val_numbers)}"
        )
    scores = Scores(
        ids=np.asarray(data.store.ids[numbers.numpy()]),
        labels=data.store.labels[numbers].numpy(),
        scores=values.numpy(),
        classes=np.array(names),
        meta={
            "benchmark": cfg.benchmark.name,
            "split": cfg.benchmark.val_split,
            "stream": cfg.stream.name,
            "test_clips": cfg.data.test_clips,
            "checkpoint_sha256": sha256(checkpoint),
            "version": version("stgcn_lightning"),
        },
    )
    write_scores(out, scores)
    figures = figures_of(scores)
    print_test(cfg, scores, figures, model, out)
    return figures


def build_tester(cfg: DictConfig) -> lightning.Trainer:
    """A trainer that logs and saves nothing."""
    return instantiate(
        cfg.trainer,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=sys.stdout.isatty(),
        default_root_dir=cfg.run_dir,
        **(FAST if cfg.debug == "fast" else {}),
    )


def figures_of(scores: Scores) -> dict[str, float]:
    """top1, top5 and mean_class_accuracy, in [0, 1]."""
    metrics = accuracies(scores.scores.shape[1])
    counted = metrics(torch.from_numpy(scores.scores), torch.from_numpy(scores.labels))
    return {name: float(value) for name, value in counted.items()}


def print_test(
    cfg: DictConfig, scores: Scores, figures: dict[str, float], model: STGCN, out: Path
) -> None:
    """The table that `test` ends with."""
    table = Table(title=f"{cfg.benchmark.name} {cfg.stream.name}, {cfg.data.test_clips} clips")
    table.add_column("")
    table.add_column("%", justify="right")
    for name, title in NAMES.items():
        table.add_row(title, f"{100 * figures[name]:.2f}")
    published = published_top1(cfg.model.name, cfg.benchmark.name, cfg.stream.name)
    if published:
        table.add_row(f"published top-1 ({published.source})", f"{published.top1:.2f}")
        table.add_row("difference", f"{100 * figures['top1'] - published.top1:+.2f}")
    console.print(table)

    hits = scores.scores.argmax(1) == scores.labels
    present = np.unique(scores.labels)
    recall = np.array([hits[scores.labels == label].mean() for label in present])
    worst = [f"{scores.classes[present[i]]} {100 * recall[i]:.0f} %" for i in recall.argsort()[:5]]
    parameters, gmac = cost(model, cfg)
    console.print(f"worst classes: {', '.join(worst)}")
    console.print(
        f"{len(scores.labels)} samples, {parameters:,} parameters, {gmac:.2f} GMAC per clip"
    )
    console.print(f"scores: {out}")


def with_numbers_as_ids(scores: Scores) -> Scores:
    """Scores fused by order, whose samples are called by their number from here on."""
    ids = np.array([str(i) for i in range(len(scores.labels))])
    return Scores(ids, scores.labels, scores.scores, scores.classes, scores.meta)


def plain(node: Any) -> Any:
    """A configuration node as plain Python values."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
