"""The published checkpoints, from a mirror on this machine."""

import hashlib
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import shared, skeleton
from omegaconf import OmegaConf
from rich.console import Console
from serving import shows_a_page

from stgcn_lightning.checkpoints import zoo
from stgcn_lightning.checkpoints.names import to_reference
from stgcn_lightning.checkpoints.weights import checkpoint_in
from stgcn_lightning.checkpoints.zoo import (
    card_of,
    checkpoint_file,
    cost_of,
    entry_of,
    shortest_name,
    zoo_entries,
    zoo_entry,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.published import published_figures, published_top1
from stgcn_lightning.files.downloads import Downloads
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.graph import adjacency
from stgcn_lightning.jobs import testing
from stgcn_lightning.jobs.backbones import build_model
from stgcn_lightning.jobs.preparing import prepare
from stgcn_lightning.jobs.training import train
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.resolvers import cache_folder
from stgcn_lightning.models import registry
from stgcn_lightning.models.cost import count_macs, count_parameters
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.shipped import CONF
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations

NAME = "ntu60_xsub_2d_bone"
FILE = "stgcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-2d_20221129-c4b44488.pth"
TINY = ["trainer=cpu", "model.base_channels=4", "data.clip_frames=12", "data.test_clips=2"]


@pytest.fixture
def downloads(server, tmp_path):
    return Downloads(server.address, tmp_path / "cache", timeout=5, tries=2, wait=0)


@pytest.fixture
def weights(tmp_path):
    """A checkpoint of 60 classes as MMAction2 writes it."""
    torch.manual_seed(0)
    model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), 60, base_channels=4)
    path = tmp_path / "weights.pth"
    torch.save({"meta": {"epoch": 16}, "state_dict": to_reference(STGCN, model.state_dict())}, path)
    return path


@pytest.fixture
def annotations(tmp_path):
    """Annotations with the shape and the splits of NTU RGB+D 60, 2D."""
    rng = np.random.default_rng(0)
    samples = [
        Sample(f"s{i}", i, 1000 * rng.random((1, 20, 17, 2), np.float32), None) for i in range(4)
    ]
    ids = [sample.id for sample in samples]
    path = tmp_path / "annotations.pkl"
    write_annotations(path, Annotations(samples, {"xsub_train": ids[:2], "xsub_val": ids[2:]}))
    return path


@pytest.fixture
def in_the_table(monkeypatch, tmp_path, weights):
    """Make `weights` the published bone checkpoint: its SHA-256 begins with the table's digits."""
    table = OmegaConf.load(zoo.TABLE)
    table.tables[0].sha256.ntu60_xsub_2d.bone = sha256(weights)[:8]
    OmegaConf.save(table, tmp_path / "zoo.yaml")
    monkeypatch.setattr(zoo, "TABLE", tmp_path / "zoo.yaml")
    return zoo_entry(NAME)


def quiet(text, downloads):
    return checkpoint_file(text, downloads, Console(quiet=True))


def test_the_zoo_has_every_file_that_mmaction2_and_pyskl_publish():
    entries = zoo_entries().values()
    count = Counter((entry.source, entry.family) for entry in entries)
    assert count == {
        ("mmaction2", "stgcn"): 16, ("mmaction2", "stgcnpp"): 8, ("mmaction2", "agcn"): 8,
        ("mmaction2", "ctrgcn"): 2, ("mmaction2", "msg3d"): 2,
        ("pyskl", "stgcn"): 32, ("pyskl", "stgcn_vanilla"): 16, ("pyskl", "stgcnpp"): 32,
        ("pyskl", "stgcnpp_strong"): 16, ("pyskl", "aagcn"): 32, ("pyskl", "ctrgcn"): 32,
        ("pyskl", "msg3d"): 32, ("pyskl", "dgstgcn"): 16,
    }  # fmt: skip
    for kind in ("file", "filename"):
        assert len({getattr(entry, kind) for entry in entries}) == 244
    for entry in entries:
        assert (CONF / "benchmark" / f"{entry.benchmark}.yaml").exists()
        figures = published_figures(entry.model, entry.benchmark, entry.stream)
        assert entry.published_by in [one.source for one in figures]
        assert len(entry.sha256) == (8 if entry.source == "mmaction2" else 0)
        assert int(entry.sha256 or "0", 16) >= 0


def test_the_addresses_are_the_published_ones():
    lines = shared("facts/checkpoints_families.tsv").read_text().splitlines()
    known = [line.split("\t") for line in lines]
    published = {row[1].strip() for row in known if len(row) == 2}
    assert len(published) == 228
    origins = composed("train").downloads
    found = {
        entry.address(origins.address, origins.pyskl)
        for entry in zoo_entries().values()
        if (entry.source, entry.model) != ("mmaction2", "stgcn")
    }
    # the server is asked by https: nothing else vouches for a file without digits
    assert found == {re.sub("^http:", "https:", address) for address in published}


def test_addresses_are_those_of_the_model_zoo():
    folder = FILE.removesuffix("_20221129-c4b44488.pth")
    assert zoo_entry(NAME).file == f"stgcn/{folder}/{FILE}"
    config = "stgcn_8xb16-joint-motion-u100-80e_ntu120-xsub-keypoint-3d"
    assert (
        zoo_entry("ntu120_xsub_3d_joint_motion").file
        == f"stgcn/{config}/{config}_20221129-5d54f525.pth"
    )


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("ntu60_xsub_2d_bone", "mmaction2/stgcn/ntu60_xsub_2d_bone"),
        ("stgcn/ntu60_xsub_2d_bone", "mmaction2/stgcn/ntu60_xsub_2d_bone"),
        ("ntu60_xview_2d_bone", "pyskl/stgcn/ntu60_xview_2d_bone"),
        ("ctrgcn/ntu60_xsub_3d_joint", "pyskl/ctrgcn/ntu60_xsub_3d_joint"),
        ("stgcnpp/ntu60_xsub_3d_joint", "mmaction2/stgcnpp/ntu60_xsub_3d_joint"),
        ("stgcnpp_strong/ntu60_xsub_3d_joint", "pyskl/stgcnpp_strong/ntu60_xsub_3d_joint"),
    ],
)
def test_a_name_may_leave_out_what_goes_without_saying(short, full):
    assert zoo_entry(short) == zoo_entry(full) == zoo_entries()[full]


def test_the_file_with_the_short_name_is_the_one_whose_figure_is_compared():
    named = {shortest_name(entry): entry for entry in zoo_entries().values()}
    assert len(named) == 244
    for entry in named.values():
        if not shortest_name(entry).startswith(entry.source) and not entry.practice:
            first = published_top1(entry.model, entry.benchmark, entry.stream)
            assert entry.published_by == first.source


@pytest.mark.parametrize("family", sorted({entry.model for entry in zoo_entries().values()}))
@pytest.mark.parametrize("benchmark", ["ntu60_xsub_2d", "ntu60_xsub_3d", "ntu120_xset_3d"])
def test_what_a_checkpoint_costs_is_what_its_model_costs(family, benchmark):
    entry = zoo_entry(f"{family}/{benchmark}_joint")
    if family not in registry.names() or entry is None:
        pytest.skip(f"there is no {family} of {benchmark} here")
    cfg = settings_of(
        "train", composed("train", f"benchmark={benchmark}", f"model={family}", "run_dir=run")
    )
    model = build_model(cfg.model, cfg.skeleton, len(cfg.benchmark.classes), persons=2)
    parameters, gmac = cost_of(entry)
    assert count_parameters(model) == parameters
    assert count_macs(model, 100, 2) / 1e9 == pytest.approx(gmac, abs=0.006)


def test_a_run_s_folder_means_its_best_checkpoint(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    best.touch()
    assert checkpoint_in(tmp_path / "run") == best
    assert checkpoint_in(Path("some/file.pth")) == Path("some/file.pth")


def test_a_file_at_an_address_is_fetched_once_and_must_hold_weights(server, downloads, weights):
    for address in ("/a/my%20run.pth?download=true", "/b/my%20run.pth"):
        server.files[address] = weights.read_bytes()
        for _ in range(2):
            path = quiet(f"{server.address}{address}", downloads)
            assert path.name == "my_run.pth"
            assert path.is_relative_to(downloads.folder / "addresses")
            assert path.read_bytes() == weights.read_bytes()
    assert len(server.asked) == 2
    server.files["/data.pkl"] = pickle.dumps({"split": {}, "annotations": []})
    with pytest.raises(BadInput, match=r"data.pkl sent is of no use .* is a pickle of annotations"):
        quiet(f"{server.address}/data.pkl", downloads)
    server.files["/page"] = weights.read_bytes()
    server.faults = [shows_a_page]
    with pytest.raises(BadInput, match="answers with a web page instead of the file"):
        quiet(f"{server.address}/page", downloads)


@pytest.mark.parametrize("address", ["s3://bucket/a.pth", "hf://a/b", "file:///a.pth"])
def test_other_addresses_are_refused_as_what_they_are(downloads, address):
    with pytest.raises(BadInput, match=f"{address} is an address that is not fetched: download"):
        quiet(address, downloads)


def test_a_published_checkpoint_is_fetched_once(server, downloads, weights, in_the_table):
    server.files[f"/{in_the_table.file}"] = weights.read_bytes()
    for _ in range(2):
        path = quiet(f"zoo:{NAME}", downloads)
        assert path == downloads.folder / in_the_table.filename
        assert path.read_bytes() == weights.read_bytes()
    assert len(server.asked) == 1


def test_garbage_of_the_right_length_is_deleted_and_named(server, downloads, weights, in_the_table):
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    server.files[f"/{in_the_table.file}"] = bytes(content)
    with pytest.raises(BadInput) as error:
        quiet(f"zoo:{NAME}", downloads)
    assert f"what {downloads.address}/{in_the_table.file} sent" in str(error.value)
    digits = hashlib.sha256(content).hexdigest()[:8]
    assert f"SHA-256 begins with {digits}, not {in_the_table.sha256}" in str(error.value)
    assert list(downloads.folder.glob("stgcn*")) == []


def test_another_file_put_in_its_place_is_named_and_kept(downloads):
    downloads.folder.mkdir()
    (downloads.folder / FILE).write_bytes(b"by hand")
    with pytest.raises(BadInput, match=rf"{FILE} is not the published .*not c4b44488; delete it"):
        quiet(f"zoo:{NAME}", downloads)
    assert (downloads.folder / FILE).exists()


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("zoo:ntu60_xsub_2d_bnoe", "did you mean zoo:ntu60_xsub_2d_bone or "),
        ("zoo:ctrgcn/ntu60_xview_2d_bnoe", "did you mean zoo:ctrgcn/ntu60_xview_2d_bone or "),
        ("zoo:protogcn/ntu60_xsub_3d_joint", "fetch it by hand from the folder of Google Drive"),
        ("zoo:dgstgcn/ntu60_xsub_2d_bone", "did you mean zoo:dgstgcn/ntu60_xsub_3d_bone"),
        ("zoo:", "python -m stgcn_lightning.zoo lists all 244, such as zoo:ntu60_xsub_2d_bone"),
        ("zoo:x3d", "python -m stgcn_lightning.zoo lists all 244, such as zoo:ntu60_xsub_2d_bone"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_all(downloads, text, remedy):
    with pytest.raises(BadInput) as error:
        quiet(text, downloads)
    assert f"there is no {text} among the published checkpoints: " in str(error.value)
    assert remedy in str(error.value)


def test_a_published_file_name_tells_what_it_was_trained_on():
    assert card_of(Path("anywhere") / FILE) == {
        "benchmark": "ntu60_xsub_2d",
        "stream": "bone",
        "dimension": "2d",
        "normalise": "2d",
    }
    assert card_of(Path("best.ckpt")) == {}
    assert card_of(Path("cache/pyskl/dgstgcn/ntu60_xview_3dkp/bm.pth")) == {
        "benchmark": "ntu60_xview_3d",
        "stream": "bone_motion",
        "dimension": "3d",
        "normalise": "3d",
    }
    assert card_of(Path("pyskl/dgstgcn/ntu60_xsub_3dkp/j.pth"))["normalise"] == "3d_centred"
    assert entry_of(Path("ntu60_xview_3dkp/bm.pth")) is None  # two families have such a file


@pytest.fixture
def of_pyskl(server, downloads, weights):
    """PYSKL's mirror with one file, where it belongs."""
    entry = zoo_entry("pyskl/stgcn/ntu60_xsub_2d_bone")
    server.files["/skl/ckpt/stgcn/stgcn_pyskl_ntu60_xsub_hrnet/b.pth"] = weights.read_bytes()
    return entry, replace(downloads, pyskl=f"{server.address}/skl")


def test_a_file_without_digits_is_fetched_once_and_said_to_be_unchecked(
    server, of_pyskl, weights, capsys
):
    entry, downloads = of_pyskl
    for _ in range(2):
        path = checkpoint_file(f"zoo:{entry.name}", downloads, Console(width=200))
        assert path == downloads.folder / "pyskl/stgcn/stgcn_pyskl_ntu60_xsub_hrnet/b.pth"
        assert path.read_bytes() == weights.read_bytes()
    said = "PYSKL publishes no SHA-256 and no size of its files, so that this one cannot be checked"
    assert capsys.readouterr().out.count(said) == 1
    assert len(server.asked) == 1


def test_a_file_without_digits_must_hold_weights(server, of_pyskl):
    entry, downloads = of_pyskl
    address = "/skl/ckpt/stgcn/stgcn_pyskl_ntu60_xsub_hrnet/b.pth"
    server.files[address] = server.files[address][:-100]
    with pytest.raises(BadInput, match=r"b\.pth sent is of no use and was deleted"):
        quiet(f"zoo:{entry.name}", downloads)
    assert list(downloads.folder.rglob("*.pth")) == []


def test_projects_lie_beside_the_folder_of_the_mirror(server, downloads):
    entry = zoo_entry("mmaction2/ctrgcn/ntu60_xsub_2d_joint")
    address = entry.address(f"{server.address}/v1.0/skeleton", "")
    assert address.startswith(f"{server.address}/v1.0/projects/ctrgcn/ctrgcn_8xb16-joint-u100")
    server.files[address.removeprefix(server.address)] = b"garbage"
    with pytest.raises(BadInput, match=r"SHA-256 begins with [0-9a-f]{8}, not 7aba454e"):
        quiet(f"zoo:{entry.name}", replace(downloads, address=f"{server.address}/v1.0/skeleton"))


def test_the_cache_lies_where_xdg_says(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/big")
    assert cache_folder() == "/big/stgcn_lightning"
    assert composed("prepare", "benchmark=ntu120_xset_3d").benchmark.annotations == (
        "/big/stgcn_lightning/ntu120_3d.pkl"
    )
    for value in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == str(Path.home() / ".cache" / "stgcn_lightning")


def test_the_mirror_is_the_environments_or_the_command_lines(monkeypatch):
    monkeypatch.delenv("STGCN_LIGHTNING_ZOO", raising=False)
    cfg = composed("train", "benchmark=ntu60_xview_2d")
    origin = "https://download.openmmlab.com/mmaction/v1.0/skeleton"
    assert cfg.downloads.address == origin
    assert cfg.benchmark.download == f"{origin}/data/ntu60_2d.pkl"
    monkeypatch.setenv("STGCN_LIGHTNING_ZOO", "http://mirror/skeleton")
    cfg = composed("train", "benchmark=ntu60_xview_2d")
    assert cfg.benchmark.download == "http://mirror/skeleton/data/ntu60_2d.pkl"


def test_settings_that_make_no_sense_are_refused():
    cfg = composed("test", f"checkpoint=zoo:{NAME}", "downloads.folder=null", "run_dir=run")
    with pytest.raises(BadInput, match=r"downloads\.folder=null is no path"):
        settings_of("test", cfg)


@pytest.fixture
def mirror(server, weights, annotations, in_the_table):
    """The server as a mirror of the two published files."""
    server.files["/data/ntu60_2d.pkl"] = annotations.read_bytes()
    server.files[f"/{in_the_table.file}"] = weights.read_bytes()
    return server


@pytest.mark.slow
def test_from_nothing_to_scores_with_two_commands_and_a_mirror(
    mirror, tmp_path, weights, annotations
):
    def run(door, *arguments):
        # the door as it is, but with the table in which our small checkpoint is the published one
        start = f"""if True:
            from pathlib import Path
            from stgcn_lightning.checkpoints import zoo
            from stgcn_lightning.{door} import main
            zoo.TABLE = Path({str(zoo.TABLE)!r})
            main()"""
        cache = {"STGCN_LIGHTNING_ZOO": mirror.address, "XDG_CACHE_HOME": str(tmp_path / "xdg")}
        done = subprocess.run(
            [sys.executable, "-c", start, *arguments, f"experiment={NAME}", *TINY],
            cwd=tmp_path,
            env=os.environ | cache,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = run("prepare")
    assert "4 samples, 17 joints" in printed
    assert f"its SHA-256 is {sha256(annotations)}; none is published" in " ".join(printed.split())
    assert (tmp_path / "xdg" / "stgcn_lightning" / "ntu60_2d.pkl").exists()
    assert "mean class accuracy" in run("test", f"checkpoint=zoo:{NAME}", "scores=bone.npz")
    with np.load(tmp_path / "bone.npz") as scores:
        assert scores["scores"].shape == (2, 60)
        assert sha256(weights) in str(scores["meta"])
    assert len(mirror.asked) == 2


@pytest.fixture
def compose(mirror, tmp_path, monkeypatch):
    """A function to the settings of a door whose files come from the mirror."""
    monkeypatch.chdir(tmp_path)

    def make(door, *overrides):
        places = [f"downloads.address={mirror.address}", "downloads.folder=cache", "run_dir=run"]
        checkpoint = [] if door == "prepare" else [f"checkpoint=zoo:{NAME}"]
        return settings_of(door, composed(door, *TINY, *places, *checkpoint, *overrides))

    return make


def test_a_checkpoint_of_the_zoo_is_refused_on_what_it_was_not_trained_on(compose, mirror):
    remedy = "trained on the stream bone in 2d, not on {}: set experiment=ntu60_xsub_2d_bone"
    with pytest.raises(BadInput, match=remedy.format("joint in 2d")):
        testing.test(compose("test", "benchmark=ntu60_xsub_2d", "stream=joint"))
    with pytest.raises(BadInput, match=remedy.format("bone in 3d")):
        testing.test(compose("test", "benchmark=synthetic_3d", "stream=bone"))
    assert not mirror.asked  # before anything is downloaded


def test_a_published_file_fetched_by_hand_knows_what_it_was_trained_on(compose):
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    testing.test(compose("test", f"experiment={NAME}"))
    (file,) = Path("cache").glob("*.pth")
    with pytest.raises(BadInput, match="was trained with stream bone, not joint: set stream=bone"):
        testing.test(
            compose("test", "benchmark=ntu60_xsub_2d", "stream=joint", f"checkpoint={file}")
        )


def test_fine_tuning_starts_from_a_checkpoint_of_the_zoo(compose, capsys):
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    train(compose("train", f"experiment={NAME}", "debug=fast", "logger=[]"))
    assert re.search(rf"zoo:{NAME}: \d+ tensors loaded, skipped: none", capsys.readouterr().out)


def test_annotations_are_downloaded_by_prepare_alone_and_found_by_all(compose, mirror, capsys):
    with pytest.raises(BadInput, match=r"prepare benchmark=ntu60_xsub_2d downloads the published"):
        testing.test(compose("test", f"experiment={NAME}"))
    assert "/data/ntu60_2d.pkl" not in [path for path, _ in mirror.asked]
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    testing.test(compose("test", f"experiment={NAME}"))
    assert "2 samples" in capsys.readouterr().out
    assert [path for path, _ in mirror.asked].count("/data/ntu60_2d.pkl") == 1


def test_a_store_without_its_annotations_downloads_nothing(compose, mirror):
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    Path("cache/ntu60_2d.pkl").unlink()
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    assert len(mirror.asked) == 1


def test_annotations_that_are_none_are_not_kept(compose, mirror):
    mirror.files["/data/ntu60_2d.pkl"] = b"garbage" * 1000
    with pytest.raises(BadInput, match=r"sent is of no use and was deleted: .*not a pickle"):
        prepare(compose("prepare", "benchmark=ntu60_xsub_2d"))
    assert list(Path("cache").glob("ntu60*")) == []


def test_prepare_downloads_to_a_path_that_is_given_but_not_under_another_name(compose, mirror):
    with pytest.raises(BadInput, match=r"no annotation file mine\.pkl"):
        prepare(compose("prepare", "benchmark=ntu60_xsub_2d", "annotations=mine.pkl"))
    assert mirror.asked == []
    prepare(compose("prepare", "benchmark=ntu60_xsub_2d", "annotations=here/ntu60_2d.pkl"))
    assert Path("here/ntu60_2d.pkl").read_bytes() == mirror.files["/data/ntu60_2d.pkl"]
