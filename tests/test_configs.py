"""Every experiment composes and instantiates, on data that has its shape."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import shared
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from stgcn_lightning.evaluation.published import experiments, published_figures, published_top1
from stgcn_lightning.jobs.building import build
from stgcn_lightning.jobs.trainers import build_trainer
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.shipped import CONF, benchmark_tables
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
HERE = {file.stem for file in (CONF / "model").glob("*.yaml")}
PUBLISHED = {name: one for name, one in experiments().items() if one["model"] in HERE}
# of every family one experiment of each dimension: streams and protocols change no module
INSTANTIATED = sorted(
    {(one["model"], one["benchmark"][-2:]): name for name, one in PUBLISHED.items()}.values()
)
BENCHMARKS = sorted(file.stem for file in (CONF / "benchmark").glob("[!_]*.yaml"))
STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
NTU = [name for name in BENCHMARKS if name.startswith("ntu")]
PYSKL = {  # -> first and last class
    "gym99_2d": (
        "(VT) round-off, flic-flac with 0.5 turn on, stretched salto forward with 0.5 turn off",
        "(UB) (swing forward) double salto backward stretched",
    ),
    **{f"ucf101_split{i}_2d": ("ApplyEyeMakeup", "YoYo") for i in (1, 2, 3)},
    **{f"hmdb51_split{i}_2d": ("brush_hair", "wave") for i in (1, 2, 3)},
    "diving48_2d": ("Back+15som+05Twis+FREE", "Reverse+Dive+NoTwis+TUCK"),
    "k400_2d": ("abseiling", "zumba"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One annotation file per (joints, coordinates), with two samples in every split there is."""
    folder = tmp_path_factory.mktemp("annotations")
    splits = {
        composed("train", f"benchmark={name}").benchmark[key]
        for name in BENCHMARKS
        for key in ("train_split", "val_split")
    }
    made = {}
    for joints, coordinates in ((15, 2), (17, 2), (20, 3), (25, 3)):
        rng = np.random.default_rng(0)
        samples = [
            Sample(
                f"s{i}",
                i,
                99 * rng.random((1, 9, joints, coordinates), np.float32),
                None,
                (108, 192),
            )
            for i in range(2)
        ]
        made[joints] = folder / f"{joints}.pkl"
        write_annotations(made[joints], Annotations(samples, {key: ["s0", "s1"] for key in splits}))
    return made


def test_the_grid_is_complete():
    cells = {f"{benchmark}_{stream}" for benchmark in NTU for stream in STREAMS}
    assert len(cells) == 32
    assert cells <= set(EXPERIMENTS)


def test_every_family_has_an_experiment_for_what_was_published_of_it():
    count = Counter(one["model"] for one in experiments().values() if "ntu" in one["benchmark"])
    assert count == {
        "stgcn": 32, "stgcnpp": 32, "agcn": 8, "aagcn": 32, "ctrgcn": 32, "msg3d": 32,
        "dgstgcn": 16, "protogcn": 24,
    }  # fmt: skip
    for name, one in experiments().items():
        assert name == f"{one['model']}/{one['benchmark']}_{one['stream']}"
        known = published_figures(one["model"], one["benchmark"], one["stream"])
        fused = published_figures(one["model"], one["benchmark"], "four_stream")
        assert known or fused
    assert experiments()["dgstgcn/ntu60_xview_3d_joint"]["recipe"] == "pyskl"
    assert experiments()["protogcn/ntu120_xset_3d_k_bone_motion"]["recipe"] == "protogcn"


@pytest.mark.parametrize("family", sorted({one["model"] for one in PUBLISHED.values()}))
def test_a_published_experiment_is_its_groups_and_nothing_else(family):
    """All of them compose; of each benchmark one is composed by hand as well."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        seen = set()
        for name, one in PUBLISHED.items():
            if one["model"] != family:
                continue
            cfg = compose("train", [f"experiment={name}"])
            assert (cfg.model.name, cfg.benchmark.name) == (family, one["benchmark"])
            assert cfg.stream.name == one["stream"]
            assert "normalise" in cfg.skeleton or "2d" in name
            if one["benchmark"] not in seen:
                seen.add(one["benchmark"])
                by_hand = compose("train", [f"{group}={value}" for group, value in one.items()])
                assert cfg == by_hand


def test_published_experiments_are_found_by_patterns_and_by_our_doors_alone(tmp_path):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        found = hydra.config_loader.get_group_options("experiment")
        assert set(experiments()) < set(found)
        assert set(EXPERIMENTS) < set(found)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        assert loader.get_group_options("experiment") == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_resolve_of_cfg_prints_is_what_is_read(name):
    cfg = composed("train", f"benchmark={name}")
    read = OmegaConf.to_container(cfg.benchmark, resolve=True)
    OmegaConf.resolve(cfg.benchmark)
    assert cfg.benchmark == read


@pytest.mark.parametrize("name", [*EXPERIMENTS, *INSTANTIATED])
def test_experiment_composes_and_instantiates(name, files, tmp_path):
    cfg = composed("train", f"experiment={name}", f"run_dir={tmp_path}", "trainer=cpu")
    cfg.data.store_dir = str(tmp_path / "stores")
    if not cfg.benchmark.get("synthetic"):
        cfg.benchmark.annotations = str(files[len(cfg.skeleton.joints)])
    settings = settings_of("train", cfg)
    built = build(settings)
    trainer = build_trainer(settings, batches=7)
    assert trainer.max_epochs == cfg.recipe.epochs
    assert built.model.classify.out_features == len(built.classes)
    batch = next(iter(built.data.train_dataloader()))
    assert batch.clips.shape[1:] == (
        1,
        cfg.data.persons,
        cfg.data.clip_frames,
        len(cfg.skeleton.joints),
        3,
    )


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_composes_and_opens(name, files, tmp_path):
    cfg = composed("test", f"benchmark={name}", f"run_dir={tmp_path}")
    cfg.data.store_dir = str(tmp_path / "stores")
    if not name.startswith("synthetic"):
        cfg.benchmark.annotations = str(files[len(cfg.skeleton.joints)])
    else:
        cfg.benchmark.synthetic.train_samples = cfg.benchmark.synthetic.val_samples = 20
    assert cfg.benchmark.name == name
    assert len(build(settings_of("test", cfg)).data.val_numbers) > 0


@pytest.mark.parametrize("name", NTU)
def test_ntu_benchmarks_have_their_classes(name):
    classes = composed("train", f"benchmark={name}").benchmark["classes"]
    assert len(classes) == (60 if name.startswith("ntu60") else 120)
    assert classes[0] == "drink water"
    assert classes[59] == "walking apart from each other"


@pytest.mark.parametrize("name", PYSKL)
def test_pyskl_benchmarks_have_their_classes(name):
    benchmark = composed("train", f"benchmark={name}").benchmark
    classes = list(benchmark.classes)
    assert len(classes) == len(set(classes)) == int(re.findall(r"\d+", name)[0])
    first, last = PYSKL[name]
    assert (classes[0], classes[-1]) == (first, last)
    assert Path(benchmark.download).name == Path(benchmark.annotations).name
    (table,) = (one for one in benchmark_tables() if one.name == name)
    assert (table.classes, table.skeleton) == (classes, "coco17")
    assert (table.train_split, table.val_split) == (benchmark.train_split, benchmark.val_split)


@pytest.mark.parametrize("name", PYSKL)
def test_pyskl_benchmarks_are_where_pyskl_publishes_them(name):
    published = shared("facts/annotations_pyskl.txt").read_text().split()
    assert composed("train", f"benchmark={name}").benchmark.download in published


@pytest.mark.parametrize("benchmark", NTU)
@pytest.mark.parametrize("stream", STREAMS)
def test_experiment_file_names_the_published_figure_and_its_command(benchmark, stream):
    text = (CONF / "experiment" / f"{benchmark}_{stream}.yaml").read_text()
    published = published_top1("stgcn", benchmark, stream)
    assert f"Published top-1: {published.top1:.2f} (10 clips, {published.source})" in text
    assert f"python -m stgcn_lightning.train experiment={benchmark}_{stream}" in text


def test_the_recipe_is_the_references():
    cfg = composed("train", "experiment=ntu60_xsub_2d_bone")
    assert (cfg.recipe.base_lr, cfg.recipe.epochs, cfg.recipe.train_passes_per_epoch) == (
        0.1,
        16,
        5,
    )
    assert (cfg.data.clip_frames, cfg.data.test_clips, cfg.data.persons) == (100, 10, 2)


@pytest.mark.parametrize(
    ("recipe", "benchmark", "stream", "expected"),
    [
        ("pyskl", "ntu60_xsub_3d", "joint", ("3d_centred", 0, 0.2, 0, 0)),
        ("pyskl", "ntu120_xset_3d", "bone", ("3d_centred", 0, 0.2, 0, 0)),
        ("pyskl", "ntu60_xview_3d", "bone", ("3d", 0, 0.3, 0, 0)),
        ("protogcn", "ntu60_xsub_3d", "joint", ("3d_centred", 0, 0.2, 0, 0)),
        ("protogcn", "ntu60_xsub_3d", "k_bone_motion", ("3d_centred", 0, 0.2, 0.5, 0)),
        ("protogcn", "ntu60_xview_3d", "k_bone", ("3d_centred", 0, 0.2, 0, 0.2)),
        ("protogcn", "ntu60_xview_3d", "bone", ("3d_centred", 0, 0.2, 0, 0)),
        ("protogcn", "ntu120_xsub_3d", "joint", ("3d_centred", 0, 0.2, 0.5, 0)),
        ("protogcn", "ntu120_xsub_3d", "k_bone", ("3d_centred", 0, 0.2, 0, 0.2)),
        ("strong", "ntu60_xsub_3d", "bone", ("3d", 0.1, 0.3, 0, 0)),
        ("mmaction2", "ntu60_xsub_3d", "bone", ("3d", 0, 0, 0, 0)),
    ],
)
def test_a_recipe_is_the_published_one(recipe, benchmark, stream, expected):
    chosen = [f"recipe={recipe}", f"benchmark={benchmark}", f"stream={stream}", "run_dir=run"]
    settings = settings_of("train", composed("train", *chosen))
    ours = settings.recipe
    changes = (ours.scale, ours.rotate, ours.flip, ours.drop_limb)
    assert (settings.benchmark.normalise, *changes) == expected
    late = recipe in ("pyskl", "protogcn")
    assert settings.data.test_sampling == ("dgstgcn" if late else "mmaction2")
    lengths = {"strong": (24, 5, 128), "mmaction2": (16, 5, 128)}.get(recipe, (150, 1, 64))
    assert (ours.epochs, ours.train_passes_per_epoch, ours.reference_batch) == lengths
    assert (ours.optimizer, ours.base_lr, ours.momentum, ours.nesterov) == ("sgd", 0.1, 0.9, True)
    assert ours.weight_decay == 5e-4


def test_a_test_takes_what_trainings_take_of_data_and_of_any_model():
    trainings = [composed("train", f"model={model}") for model in sorted(HERE)]
    assert composed("test").data.keys() == trainings[0].data.keys()
    assert set(composed("test").model) == {key for one in trainings for key in one.model}
