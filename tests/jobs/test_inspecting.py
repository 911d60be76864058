"""What is said of files and folders: what they are, what is in them, and what will hurt."""

import json
import os
import pickle
import shlex
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from helpers import LEGACY, skeleton

from stgcn_lightning.checkpoints.weights import CARD
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.store import open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import Scores, write_scores
from stgcn_lightning.graph import adjacency
from stgcn_lightning.jobs.inspecting import inspected
from stgcn_lightning.jobs.inspection.inspected import Finding, Inspected, typed
from stgcn_lightning.jobs.inspection.splits import pairs_of, pattern_of
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

NAMES = ["sit", "stand", "wave"]


@cache
def good(dimension="2d"):
    """The embedded data set, small: 36 samples to train on, 24 to validate on."""
    return synthetic_annotations(dimension, 36, 24, max_frames=50)


@cache
def defaults():
    return settings_of("inspect", composed("inspect", "run_dir=unused"))


def look_at(path, **changes):
    """The inspection of a path, as the door makes it."""
    return inspected(replace(defaults(), source=str(path), **changes))


@pytest.fixture
def of(tmp_path):
    """A function from annotations to their inspection."""

    def inspect(annotations):
        write_annotations(tmp_path / "a.pkl", annotations)
        return look_at(tmp_path / "a.pkl")

    return inspect


def changed(change, every=1, base=None):
    """The embedded data set, each `every`-th sample with what `change` returns for it."""
    base = base or good()
    samples = [
        replace(sample, **change(sample)) if i % every == 0 else sample
        for i, sample in enumerate(base.samples)
    ]
    return Annotations(samples, base.splits)


def keypoint(change):
    """A change of a sample by that of its key points in float32."""
    return lambda sample: {"keypoint": change(sample.keypoint.astype(np.float32).copy())}


def put(value, *place):
    def change(keypoint):
        keypoint[place] = value
        return keypoint

    return change


def frozen(keypoint):
    return np.repeat(keypoint[:, :1], keypoint.shape[1], 1)


def emptied(keypoint):
    keypoint[:, keypoint.shape[1] // 3 :] = 0
    return keypoint


def in_shape(h, w):
    return lambda sample: {"img_shape": (h, w)}


def renamed_as(ids, other):
    """Some samples by the name of the subject of another, `P001` of `S001C001P001R001A001`."""
    names = {id: id[:8] + other[8:12] + id[12:] for id in ids}
    samples = [replace(s, id=names.get(s.id, s.id)) for s in good().samples]
    splits = {name: [names.get(id, id) for id in of] for name, of in good().splits.items()}
    return Annotations(samples, splits)


HURTS = {
    "NaN": (changed(keypoint(put(np.nan, 0, 3, 5)), 5), "hold joints of NaN", "look"),
    "infinity": (changed(keypoint(put(np.inf, 0, 3, 5)), 9), "has coordinate inf", "fault"),
    "frozen": (changed(keypoint(frozen), 2), "nothing moves in 30 of 60 samples", "look"),
    "empty": (changed(keypoint(emptied)), "of the frames show no one", "look"),
    "swapped axes": (
        changed(lambda s: {"keypoint": s.keypoint.transpose(0, 2, 1, 3), "score": None}),
        "its axes are in another order, give keypoint.transpose(0, 2, 1, 3)",
        "fault",
    ),
    "normalised": (changed(keypoint(lambda x: x / 1920)), "scaled to [0, 1] or [-1, 1]", "look"),
    "half of them normalised": (
        changed(keypoint(lambda x: x / 1920), 2),
        "scaled to [0, 1] or [-1, 1] already (e.g. 'S001C003P032R000A001'): give them in pixels",
        "fault",
    ),
    "upside down": (
        changed(lambda s: keypoint(lambda x: np.stack([x[..., 0], 1080 - x[..., 1]], -1))(s)),
        "bodies stand on their heads",
        "look",
    ),
    "x and y exchanged": (
        changed(lambda s: keypoint(lambda x: x[..., ::-1])(s) | {"img_shape": (1920, 1920)}),
        "bodies lie on their sides",
        "look",
    ),
    "many persons": (
        changed(
            lambda s: {
                "keypoint": np.concatenate([s.keypoint[:1]] * 3),
                "score": np.concatenate([s.score[:1]] * 3),
            }
        ),
        "hold more than 2 persons, of whom the first 2 are trained on",
        "look",
    ),
    "no splits": (Annotations(good().samples, {}), "there are no splits", "look"),
    "exchanged": (
        changed(in_shape(1920, 1080)),
        "if its width and height are exchanged",
        "look",
    ),
    "outside": (changed(keypoint(lambda x: np.where(x == 0, 0, x + 2000))), "outside", "fault"),
    "labels from 1": (changed(lambda s: {"label": s.label + 1}), "they count from 1", "fault"),
    "a label of many digits": (
        changed(lambda s: {"label": 10**5000}, 30),
        "has label of 16610 bits, outside 0 to",
        "fault",
    ),
    "labels with gaps": (changed(lambda s: {"label": 2 * s.label}), "do not occur", "look"),
    "no labels": (changed(lambda s: {"label": None}), "have no label", "look"),
    "one class": (
        Annotations(
            good().samples, {"train": good().splits["train"], "val": good().splits["val"][:1]}
        ),
        "the split 'val' has samples of one class alone",
        "look",
    ),
    "subjects in both": (
        renamed_as(good().splits["val"][:3], good().splits["train"][0]),
        "of the split 'val' are of subjects of 'train'",
        "look",
    ),
    "not divided by subjects": (
        renamed_as(good().splits["val"], good().splits["train"][0]),
        "100 % of the split 'val' are of subjects of 'train'",
        "look",
    ),
    "copied": (
        Annotations(
            [*good().samples, replace(good().samples[0], id="S001C001P999R001A001")],
            good().splits | {"val": [*good().splits["val"], "S001C001P999R001A001"]},
        ),
        "of the split 'val' have the same key points as samples of 'train'",
        "look",
    ),
    "samples in both": (
        Annotations(
            good().samples,
            good().splits | {"val": good().splits["val"] + good().splits["train"][:3]},
        ),
        "of the split 'val' are in 'train' as well",
        "look",
    ),
    "imbalance": (
        Annotations(
            [*good().samples]
            + [
                replace(good().samples[0], id=f"more{i}", keypoint=good().samples[0].keypoint + i)
                for i in range(60)
            ],
            good().splits | {"train": [*good().splits["train"], *(f"more{i}" for i in range(60))]},
        ),
        "the split 'train' has 63 samples of",
        "look",
    ),
    "an id without a sample": (
        Annotations(good().samples, good().splits | {"val": [*good().splits["val"], "nobody"]}),
        "without annotation",
        "fault",
    ),
    "one split": (
        Annotations(good().samples, {"all": good().splits["train"]}),
        "one split",
        "look",
    ),
    "no skeleton": (
        changed(lambda s: {"keypoint": s.keypoint[:, :, :13], "score": s.score[..., :13]}),
        "no skeleton here has 13 joints",
        "look",
    ),
    "scores": (changed(lambda s: {"score": 100 * s.score}), "of the scores are above 1", "look"),
    "millimetres": (
        changed(keypoint(lambda x: 1000 * x), base=good("3d")),
        "are to be divided by 1000",
        "look",
    ),
    "confidence as z": (
        changed(
            lambda s: {
                "keypoint": np.concatenate([s.keypoint, s.score[..., None]], -1),
                "score": None,
            }
        ),
        "third coordinate lies between 0 and 1",
        "fault",
    ),
    "two faults": (
        changed(lambda s: {"label": s.label + 1} | keypoint(put(np.inf, 0, 3, 5))(s), 1),
        "has coordinate inf (person 0, frame 3, joint 5); correct it (60 of 60 samples",
        "fault",
    ),
}


def test_of_good_annotations_nothing_is_said(of):
    for dimension in ("2d", "3d"):
        found = of(good(dimension))
        assert found.kind == "annotations"
        assert found.verdict == "ready", (found.faults, found.findings)
        assert found.facts["samples"] == 60
        assert found.facts["splits"] == {"train": 36, "val": 24}
        assert found.facts["skeleton"] == {"2d": "coco17", "3d": "ntu25"}[dimension]
        assert sum(found.histograms[0].counts) == sum(found.histograms[1].counts) == 60


@pytest.mark.parametrize("name", HURTS)
def test_what_hurts_is_said(of, name):
    annotations, words, how = HURTS[name]
    found = of(annotations)
    faults, findings = " | ".join(found.faults), " | ".join(map(str, found.findings))
    assert words in (faults if how == "fault" else findings), (faults, findings)
    assert found.verdict == ("cannot be used" if how == "fault" else "ready, but look")
    assert bool(found.commands) == (how != "fault" and name != "no skeleton")
    json.dumps(found.plain())


def test_key_points_scaled_by_sides_keep_their_skeleton(of):
    sides = np.array([1920, 1080], np.float32)
    found = of(changed(keypoint(lambda x: x / sides)))
    assert found.facts["skeleton"] == "coco17"
    assert "skeleton=coco17" in found.commands[0].command
    assert "benchmark.normalise=none" in found.commands[0].command


def test_of_labels_from_1_no_consequence_is_a_finding_of_its_own(of):
    assert not of(HURTS["labels from 1"][0]).findings


def test_what_cannot_be_trained_on_is_to_be_predicted(of):
    only = Annotations(good().samples, {"xsub_test": good().splits["val"]})
    for annotations in (only, HURTS["no labels"][0]):
        (command,) = of(annotations).commands
        assert command.command.startswith("python -m stgcn_lightning.predict checkpoint=RUN")


def test_a_picture_that_no_sample_states_is_no_fact(of):
    unstated = changed(lambda s: {"img_shape": None})
    assert "pictures_height_x_width" not in of(unstated).facts


def test_a_folder_of_runs_names_the_newest(tmp_path):
    for name in ("old", "new"):
        (tmp_path / "outputs" / name / ".hydra").mkdir(parents=True)
    os.utime(tmp_path / "outputs" / "old", (1, 1))
    with pytest.raises(BadInput, match=r"holds 2 runs: look at one of them.*source=.*new$"):
        look_at(tmp_path / "outputs")


def test_the_next_command_keeps_what_was_said_of_the_files(tmp_path):
    (tmp_path / "wave").mkdir()
    np.savez(tmp_path / "wave" / "a.npz", keypoint=good().samples[0].keypoint)
    reading = replace(defaults().reading, img_shape=(1080, 1920), skeleton="coco17")
    for command in look_at(tmp_path, reading=reading).commands:
        words = shlex.split(command.command)
        assert {"reading.img_shape=[1080,1920]", "reading.skeleton=coco17"} <= set(words)


def test_all_faults_are_said_at_once(of):
    faults = of(HURTS["two faults"][0]).faults
    assert any("count from 1" in fault for fault in faults)
    assert any("coordinate inf" in fault for fault in faults)


@pytest.mark.parametrize("name", ["good", "NaN", "normalised", "one split"])
def test_the_command_it_gives_is_understood_and_opens_the_store(of, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = of(good() if name == "good" else HURTS[name][0])
    words = shlex.split(found.commands[-1].command)
    assert words[:3] == ["python", "-m", "stgcn_lightning.train"]
    settings = settings_of("train", composed("train", *words[3:], "run_dir=unused"))
    from stgcn_lightning.jobs.stores import open_store_of

    assert len(open_store_of(settings).ids) == 60


def test_a_shipped_benchmark_is_recognised_by_splits_classes_and_skeleton(of):
    samples = [replace(s, label=i % 60) for i, s in enumerate(good("3d").samples)]
    splits = {"xview_train": good("3d").splits["train"], "xview_val": good("3d").splits["val"]}
    found = of(Annotations(samples, splits))
    assert found.facts["benchmark"] == "ntu60_xview_3d"
    assert found.histograms[0].names[0] == "drink water"
    assert "benchmark=ntu60_xview_3d" in found.commands[0].command


def test_estimates_say_how_they_were_made_and_the_store_is_as_large_as_said(of, tmp_path):
    found = of(good())
    spec = StoreSpec(skeleton("coco17"), "2d", "2d", 12)
    store = open_or_build(tmp_path / "a.pkl", spec, tmp_path / "stores")
    sizes = {one.name: one for one in found.estimates}
    assert sizes["store"].value == store.frames.numel() * store.frames.element_size()
    assert "docs/performance.md" in sizes["time of training"].how
    there = store.num_persons.double().mean()
    assert sizes["memory of a training step"].value == pytest.approx(16 * there * 1700 * 18.6e3)


def test_a_folder_that_holds_the_configuration_too_is_trained_on_by_name(of, tmp_path):
    of(good())
    folder = tmp_path / "prepared"
    (folder / "benchmark").mkdir(parents=True)
    shutil.move(tmp_path / "a.pkl", folder / "annotations.pkl")
    classes = ", ".join(f"act{i}" for i in range(12))
    (folder / "benchmark" / "mine.yaml").write_text(
        "defaults: [_self_, {override /skeleton@_global_.skeleton: coco17}]\n"
        "name: mine\ndimension: 2d\nnormalise: 2d\ntrain_split: train\nval_split: val\n"
        f"classes: [{classes}]\n"
    )
    found = look_at(folder)
    assert found.histograms[0].names[0] == "act0"
    command = f"python -m stgcn_lightning.train --config-dir={folder} experiment=mine"
    assert found.commands[0].command == command
    (folder / "benchmark" / "mine.yaml").write_text("name: [")
    with pytest.raises(BadInput, match=r"mine\.yaml cannot be read"):
        look_at(folder)


def write_npz(path, **more):
    rng = np.random.default_rng(0)
    body = good().samples[0]
    keypoint = body.keypoint[:1].astype(np.float32) + rng.normal(size=(17, 2)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"keypoint": keypoint, "skeleton": "coco17", "img_shape": np.array([1080, 1920])}
    np.savez(path, **(content | {"fps": 30.0} | more))


def test_a_folder_of_recordings_is_counted_by_its_folders(tmp_path):
    for name in ("sit/a", "sit/b", "stand/c"):
        write_npz(tmp_path / "data" / f"{name}.npz")
    found = look_at(tmp_path / "data")
    assert (found.kind, found.facts["recordings"]) == ("recordings", 3)
    assert found.facts["folders"] == {"sit": 2, "stand": 1}
    assert found.facts["fps"] == [30.0]
    assert "prepare data=" in found.commands[0].command
    assert any("because" in remark for remark in found.remarks)


def test_a_broken_recording_among_others_is_told_and_the_others_are_looked_at(tmp_path):
    write_npz(tmp_path / "data" / "a.npz")
    write_npz(tmp_path / "data" / "b.npz", keypoint=np.zeros((3, 2)))
    found = look_at(tmp_path / "data")
    assert found.facts["recordings"] == 1
    assert "b.npz has keypoint of shape" in found.faults[0]
    with pytest.raises(BadInput, match="keypoint of shape"):
        look_at(tmp_path / "data" / "b.npz")


def test_a_store_says_what_was_found_when_it_was_built(of, tmp_path):
    of(changed(keypoint(frozen), 2))
    spec = StoreSpec(skeleton("coco17"), "2d", "2d", 12)
    store = open_or_build(tmp_path / "a.pkl", spec, tmp_path / "stores")
    found = look_at(store.folder)
    assert (found.kind, found.facts["samples"]) == ("store", 60)
    assert any("nothing moves" in finding.what for finding in found.findings)
    killed = store.folder.with_name(f"{store.folder.name}.building")
    killed.mkdir()
    (killed / "frames.bin").touch()
    listed = look_at(tmp_path / "stores")
    assert (listed.facts["stores"], listed.faults) == (1, [])
    (said,) = listed.remarks
    assert said.startswith(f"{killed.name} is no store: a process is building it, or")
    shutil.rmtree(killed)
    shutil.copytree(store.folder, killed)  # beside the store, it is of no use
    assert look_at(tmp_path / "stores").remarks[0].startswith(f"{killed.name} is no store")
    shutil.rmtree(killed)
    store.folder.rename(killed)
    listed = look_at(tmp_path / "stores")
    assert (listed.facts["stores"], listed.faults) == (0, [])
    assert listed.remarks[0].startswith(f"{killed.name} is a finished store that a killed process")
    killed.rename(store.folder)
    assert found.facts["verified"] == "all parts"
    (store.folder / "samples.npy").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"is damaged \(samples.npy is not what was written\)"):
        look_at(store.folder)


@pytest.fixture
def checkpoint(tmp_path):
    """A function that writes a checkpoint with a card."""
    torch.manual_seed(0)
    body = skeleton("coco17")
    model = STGCN(adjacency(body, "stgcn_spatial"), classes=3, base_channels=4)
    card = {
        "version": "0.1.0",
        "model": {"name": "stgcn", "graph": "stgcn_spatial", "base_channels": 4},
        "skeleton": body.to_dict(),
        "classes": NAMES,
        "stream": "joint",
        "benchmark": "own",
        "dimension": "2d",
        "normalise": "2d",
        "clip_frames": 20,
        "test_clips": 2,
        "persons": 2,
    }

    def write(path=tmp_path / "best.ckpt", **changes):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"state_dict": model.state_dict(), CARD: card} | changes
        torch.save(content, path)
        return path

    return write


def test_a_checkpoint_says_its_card_and_its_cost(checkpoint):
    found = look_at(checkpoint())
    assert (found.kind, found.verdict) == ("checkpoint", "ready")
    facts = found.facts
    assert (facts["model"], facts["classes"], facts["clip_frames"]) == ("stgcn", 3, 20)
    assert facts["parameters"] > 10_000
    assert facts["gmac_of_a_clip"] > 0
    assert [row[1] for row in found.tables[0].rows] == NAMES
    assert any("stgcn_lightning.predict" in one.command for one in found.commands)


def test_a_checkpoint_without_a_card_says_what_can_be_known(checkpoint):
    found = look_at(checkpoint(**{CARD: {}}))
    assert found.verdict == "ready, but look"
    assert "does not say what it was trained on" in found.findings[0].what
    assert (found.facts["model"], found.facts["joints"]) == ("stgcn", 17)
    assert found.facts["parameters"] > 10_000


def test_a_checkpoint_of_nan_cannot_be_used(checkpoint):
    content = torch.load(checkpoint(), weights_only=True)
    content["state_dict"]["classify.weight"][0, 0] = float("nan")
    found = look_at(checkpoint(**content))
    assert found.verdict == "cannot be used"
    assert "its training diverged" in found.faults[0]


def scores_of(labels, answers, classes=3, sure=0.9):
    values = np.full((len(labels), classes), (1 - sure) / (classes - 1), np.float32)
    values[np.arange(len(labels)), answers] = sure
    ids = np.array([f"S{i}" for i in range(len(labels))])
    names = np.array(NAMES if classes == 3 else [str(i) for i in range(classes)])
    return Scores(ids, np.array(labels), values, names, {"stream": "joint", "split": "val"})


def test_scores_say_accuracy_confidence_and_what_is_confused(tmp_path):
    write_scores(tmp_path / "scores.npz", scores_of([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 1]))
    found = look_at(tmp_path / "scores.npz")
    assert found.kind == "scores"
    assert found.facts["top1"] == pytest.approx(5 / 6, abs=1e-4)
    assert found.facts["mean_confidence"] == pytest.approx(0.9, abs=1e-4)
    # all answers lie in one bin: |0.9 - 5/6|
    assert found.facts["expected_calibration_error"] == pytest.approx(0.0667, abs=1e-4)
    assert found.tables[0].rows[0][:4] == ("wave", 2, 1, 0.5)
    assert found.tables[1].rows == [("wave", "stand", 1, 0.5, 0)]
    assert sum(found.histograms[0].counts) == 6


def test_scores_that_are_logits_unlabelled_or_always_the_same_are_told(tmp_path):
    scores = scores_of([0, 1, 2], [1, 1, 1])
    write_scores(tmp_path / "same.npz", scores)
    assert "every answer is 'stand'" in str(look_at(tmp_path / "same.npz").findings)
    write_scores(tmp_path / "logits.npz", replace(scores, scores=10 * scores.scores - 3))
    assert "holds logits" in str(look_at(tmp_path / "logits.npz").findings)
    write_scores(tmp_path / "none.npz", replace(scores, labels=np.full(3, -1)))
    assert "no labels" in str(look_at(tmp_path / "none.npz").findings)
    (tmp_path / "pyskl.pkl").write_bytes(pickle.dumps(list(scores.scores)))
    found = look_at(tmp_path / "pyskl.pkl")
    assert (found.kind, found.facts["samples"]) == ("scores", 3)
    assert "no names and labels" in str(found.findings)


def write_sweep(folder):
    for number, failure in ((0, None), (1, "Traceback\nBadInput: no")):
        run = folder / f"{number}_own"
        run.mkdir(parents=True)
        result = {
            "overrides": ["a=1", f"seed={number}"],
            "figures": {} if failure else {"val/top1": 0.5},
            "failure": failure,
        }
        (run / "result.json").write_text(json.dumps(result))


def test_a_sweep_is_a_table_of_its_jobs(tmp_path):
    write_sweep(tmp_path / "sweep")
    found = look_at(tmp_path / "sweep")
    assert (found.kind, found.facts["jobs_ended"], found.facts["jobs_failed"]) == ("sweep", 2, 1)
    assert found.tables[0].rows == [
        ("seed=0", 0.5, ""),
        ("seed=1", None, "failed: BadInput: no"),
    ]
    (tmp_path / "sweep" / "0_own" / "result.json").write_text("{}")
    with pytest.raises(BadInput, match="is damaged"):
        look_at(tmp_path / "sweep")


def test_a_run_without_a_checkpoint_and_one_that_is_torn_say_so(tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").write_text("[stream=bone, hydra.run.dir=x]")
    (run / "metrics.csv").write_text("step,epoch,val/top1,val/loss\n9,0,0.5,2.0\n19,1,0.25,nan\n")
    found = look_at(run)
    assert (found.kind, found.facts["overrides"]) == ("run", ["stream=bone", "hydra.run.dir=x"])
    assert "no checkpoint" in str(found.findings)
    assert found.tables[0].rows == [
        ("val/loss", 2.0, 2.0, pytest.approx(float("nan"), nan_ok=True), 19, 1),
        ("val/top1", 0.5, 0.5, 0.25, 19, 0),
    ]
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04torn")
    assert "last.ckpt is torn" in str(look_at(run).findings)


def test_an_interrupted_run_says_how_it_goes_on(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / ".hydra").mkdir()
    shutil.copy(LEGACY / "version_0_1_0_within_epoch.ckpt", run / "checkpoints" / "last.ckpt")
    (run / ".hydra" / "overrides.yaml").write_text("['benchmark.classes=[a,b c]', ~logger]")
    hydra = {"runtime": {"config_sources": [{"path": "/my conf", "provider": "command-line"}]}}
    (run / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": hydra}))
    (run / ".hydra" / "config.yaml").write_text("recipe: {epochs: 2}")
    found = look_at(run)
    assert found.facts["state"] == "interrupted"
    assert found.facts["epochs_done"] < found.facts["epochs_in_all"]
    assert shlex.split(found.commands[0].command)[3:] == [
        "--config-dir=/my conf",
        "benchmark.classes=[a,b c]",
        "~logger",
        f"hydra.run.dir={run}",
        "resume=auto",
    ]
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", run / "checkpoints" / "last.ckpt")
    assert look_at(run).facts["state"] == "finished"


def test_an_exported_model_is_described_by_its_sidecar(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x05")
    assert "no m.json beside it" in look_at(tmp_path / "m.onnx").findings[0].what
    card = {"format": "onnx", "file": "m.onnx", "skeleton": {"name": "coco17"}, "classes": NAMES}
    (tmp_path / "m.json").write_text(json.dumps(card | {"stream": "bone"}))
    found = look_at(tmp_path / "m.onnx")
    assert (found.verdict, found.facts["stream"]) == ("ready", "bone")
    assert look_at(tmp_path / "m.json").kind == "sidecar"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pkl", b"\x80\x04\x95\xff", "truncated"),
        ("a.pkl", b"\x80\x04cos\nsystem\n(S'ls'\ntR.", "os.system"),
        ("a.gz", b"\x1f\x8b\x08\x00", "is a gzip file"),
        ("a.txt", b"hello\n", "in no known format of key points"),
        ("a.ckpt", b"", "is empty"),
        ("a.npz", b"PK\x05\x06" + bytes(18), "is a zip archive: unpack it"),
    ],
)
def test_a_broken_or_hostile_file_is_refused_in_its_reader_s_words(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=words):
        look_at(tmp_path / name)


def test_the_json_has_the_keys_that_the_documentation_lists(of):
    plain = of(HURTS["frozen"][0]).plain()
    assert list(plain) == [
        *("schema", "version", "source", "kind", "why", "verdict", "facts", "faults", "findings"),
        *("estimates", "remarks", "tables", "histograms", "next"),
    ]
    assert plain["schema"] == 1
    assert list(plain["findings"][0]) == ["what", "example", "remedy"]
    assert list(plain["estimates"][0]) == ["name", "value", "unit", "how"]
    assert list(plain["tables"][0]["rows"][0])[:2] == ["split", "samples"]
    assert list(plain["next"][0]) == ["purpose", "command"]


def test_a_verdict_follows_faults_before_findings():
    found = Inspected(source="a", kind="store", why="", facts={})
    assert found.verdict == "ready"
    found = replace(found, findings=[Finding("a", "", "b")])
    assert found.verdict == "ready, but look"
    assert replace(found, faults=["c"]).verdict == "cannot be used"


def test_commands_are_quoted_for_the_shell_and_for_hydra():
    command = typed("test", checkpoint="my run/best=1.ckpt", data__persons=2, stream=None)
    assert shlex.split(command)[3:] == [
        'checkpoint="my run/best=1.ckpt"',
        "data.persons=2",
        "stream=null",
    ]


def test_pairs_of_splits_and_patterns_of_subjects_are_found_by_their_names():
    assert pairs_of({"test": 0, "train": 0}) == [("train", "test")]
    assert pairs_of({"a_train": 0, "b_val": 0}) == []
    assert pattern_of(["S001C001P003R001A001"], None) == r"P(\d{3})"
    assert pattern_of(["a01_s02_e03"], None) == r"_s(\d+)_"
    assert pattern_of(["video"], None) is None
    assert pattern_of(["video"], "(v)") == "(v)"
