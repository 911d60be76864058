"""Skeletons that lie one after the other, against a plain loop over them."""

import os
import pickle
import re

import numpy as np
import pytest
from pyskl_files import THRESHOLDS, write_listed

from stgcn_lightning.data import building
from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.placed import ArrayInFile, Placed
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources import annotations as of_sources
from stgcn_lightning.sources.annotations import loaded
from stgcn_lightning.sources.frame_lists import KeyPointsApart
from stgcn_lightning.sources.keeping import Keeping
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations
from stgcn_lightning.sources.registry import source_named

CLASSES = 12


def listed(path):
    """The records of an index, each with its skeletons."""
    held = {}
    for file in (path.parent / "kpfiles").iterdir():
        held |= pickle.loads(file.read_bytes())
    table = pickle.loads(path.read_bytes())
    for record in table["annotations"]:
        record["keypoint"] = held[record["frame_dir"]]["keypoint"]
    return table


def one_by_one(record, box_score, most):
    """What PYSKL makes of a record (DecompressPose with squeeze, then FormatGCNInput)."""
    frames = {}
    for t, score, skeleton in zip(
        record["frame_inds"], record["box_score"], record["keypoint"], strict=True
    ):
        if score >= box_score:
            frames.setdefault(t, []).append(skeleton)
    crowd = max(map(len, frames.values()))
    made = np.zeros((min(crowd, most), len(frames), 17, 3), np.float16)
    for time, people in enumerate(frames.values()):
        if crowd > 10:
            people.sort(key=lambda one: -one[:, 2].sum())
        for person, skeleton in enumerate(people[:most]):
            made[person, time] = skeleton
    return made


def changed(path, change):
    """Rewrite an index with `change` applied to its second record."""
    table = pickle.loads(path.read_bytes())
    change(table["annotations"][1])
    path.write_bytes(pickle.dumps(table))


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    ("crowd", "box_score", "persons"), [(3, 0.0, 10), (3, 0.7, 2), (13, 0.5, 10), (13, 0.8, 2)]
)
def test_skeletons_are_assembled_as_a_loop_over_them_does(
    tmp_path, in_place, crowd, box_score, persons
):
    path = write_listed(tmp_path, CLASSES, crowd)
    keeping = Keeping(box_score=box_score, persons=persons)
    found = read_annotations(path, in_place=in_place, keeping=keeping)
    assert [len(ids) for ids in found.splits.values()] == [CLASSES, CLASSES]
    for sample, record in zip(found.samples, listed(path)["annotations"], strict=True):
        assert isinstance(sample.keypoint, Placed) == in_place
        shape, dtype = sample.keypoint.shape, sample.keypoint.dtype
        (whole,) = loaded([sample])
        want = one_by_one(record, box_score, persons)
        assert (shape, dtype) == (whole.keypoint.shape, whole.keypoint.dtype)
        assert (whole.label, whole.img_shape) == (record["label"], record["img_shape"])
        np.testing.assert_array_equal(whole.keypoint, want[..., :2], strict=True)
        np.testing.assert_array_equal(whole.score, want[..., 2], strict=True)


def test_frames_are_as_many_as_the_index_counts_at_each_threshold(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    for at in THRESHOLDS:
        found = read_annotations(path, in_place=True, keeping=Keeping(box_score=at))
        for sample, record in zip(found.samples, listed(path)["annotations"], strict=True):
            assert sample.keypoint.shape[1] == record["valid"][at]


def test_training_samples_that_show_somebody_too_rarely_are_left_out(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    changed(path, lambda record: record.update(total_frames=1000))
    found = read_annotations(path, keeping=Keeping(valid_ratio=0.5))
    assert "v_001" not in found.splits["train"]
    assert "v_001" not in [sample.id for sample in found.samples]
    assert len(found.splits["train"]) == CLASSES - 1
    assert len(found.splits["val"]) == CLASSES
    assert found.remarks == (
        f"1 of {CLASSES} samples of the split 'train' are left out: they show somebody in less "
        "than 0.5 of their frames (benchmark.source.valid_ratio) in boxes of 0 and more "
        "(benchmark.source.box_score)",
    )
    assert read_annotations(path).remarks == ()


def test_a_training_split_of_which_nothing_is_left_is_refused(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    words = rf"all {CLASSES} samples of the split 'train' of .*valid_ratio.*box_score.*lower"
    with pytest.raises(BadInput, match=words):
        read_annotations(path, keeping=Keeping(valid_ratio=1.0))


def test_options_that_had_no_effect_are_said(tmp_path):
    listed, dense = write_listed(tmp_path, CLASSES), tmp_path / "dense.pkl"
    write_annotations(dense, read_annotations(listed))
    found = read_annotations(dense, keeping=Keeping(box_score=0.9, valid_ratio=0.99))
    assert found.remarks == (
        "benchmark.source.box_score=0.9 and benchmark.source.valid_ratio=0.99 had no effect: "
        f"{dense} has no skeletons that lie one after the other, each with its frame in "
        "frame_inds",
    )
    assert read_annotations(dense, keeping=Keeping()).remarks == ()
    assert read_annotations(dense).remarks == ()


def test_a_record_may_hold_its_skeletons_itself(tmp_path):
    """As PYSKL's script for own videos writes them with --compress: no boxes, no other files."""
    path = write_listed(tmp_path, CLASSES)
    (tmp_path / "own.pkl").write_bytes(
        pickle.dumps(
            [
                {
                    key: one[key]
                    for key in ("frame_dir", "label", "img_shape", "keypoint", "frame_inds")
                }
                for one in listed(path)["annotations"]
            ]
        )
    )
    own, apart = read_annotations(tmp_path / "own.pkl"), read_annotations(path)
    assert own.splits == {"all": [sample.id for sample in apart.samples]}
    for one, other in zip(own.samples, apart.samples, strict=True):
        np.testing.assert_array_equal(one.keypoint, other.keypoint, strict=True)


@pytest.mark.parametrize(
    "raw",
    ["part_{}.pkl", "kpfiles/part_{}.pkl", "/home/me/kpfiles/part_{}.pkl", "D:\\x\\part_{}.pkl"],
)
def test_the_end_of_a_name_is_looked_for_below_the_annotations(tmp_path, raw):
    path = write_listed(tmp_path, CLASSES, raw=raw)
    if "kpfiles" not in raw:
        for file in (tmp_path / "kpfiles").iterdir():
            file.rename(tmp_path / file.name)
    assert len(read_annotations(path).samples) == 2 * CLASSES


@pytest.mark.parametrize(
    "raw", ["../kpfiles/part_{}.pkl", "kpfiles/../part_{}.pkl", "", "a\0b", 7, []]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, raw):
    path = write_listed(tmp_path / "in", CLASSES)
    for file in (tmp_path / "in" / "kpfiles").iterdir():
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    changed(path, lambda record: record.update(raw_file=raw))
    with pytest.raises(BadInput, match=r"sample 'v_001' of .* has the raw_file .*give the name"):
        read_annotations(path)


def test_a_file_of_key_points_that_is_not_there_is_named_with_its_place(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    (tmp_path / "kpfiles" / "part_1.pkl").unlink()
    with pytest.raises(KeyPointsApart, match=r"no data/k400/kpfiles/part_1\.pkl there") as error:
        read_annotations(path)
    assert str(error.value).endswith(f"copy the files of key points to {tmp_path / 'kpfiles'}")


def test_a_file_of_key_points_is_untrusted_too(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    (tmp_path / "kpfiles" / "part_0.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(BadInput, match=r"part_0\.pkl asks for builtins\.print.*nothing in it was"):
        read_annotations(path)
    (tmp_path / "kpfiles" / "part_0.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(BadInput, match=r"part_0\.pkl is a list and no dict of key points"):
        read_annotations(path)
    (tmp_path / "kpfiles" / "part_0.pkl").write_bytes(pickle.dumps({"v_002": {}}))
    with pytest.raises(BadInput, match=r"'v_000' of .*part_0\.pkl, which holds none of that"):
        read_annotations(path)


BAD = {
    "has 2 skeletons but .* frame_inds": lambda r: r.update(
        keypoint=np.ones((2, 17, 3), np.float16)
    ),
    "skeletons but 3 box_score": lambda r: r.update(box_score=np.ones(3, np.float16)),
    "has a list as frame_inds": lambda r: r.update(frame_inds=r["frame_inds"].tolist()),
    "has a frame_inds of float32": lambda r: r.update(frame_inds=np.ones(3, np.float32)),
    "has a box_score of int64": lambda r: r.update(box_score=np.ones(3, np.int64)),
    r"keypoint of shape \(2, 17, 2\)": lambda r: r.update(keypoint=np.ones((2, 17, 2))),
    "has frame_inds but neither": lambda r: r.pop("raw_file"),
    "has no total_frames, of which": lambda r: r.pop("total_frames"),
    "has total_frames [^0].*; give the number of": lambda r: r.update(total_frames=10**400),
    "has total_frames 0; give the number": lambda r: r.update(total_frames=0),
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_is_not_of_the_form_is_said_of_its_sample(tmp_path, sentence):
    path = write_listed(tmp_path, CLASSES)
    changed(path, BAD[sentence])
    with pytest.raises(BadInput, match=f"sample 'v_001' of .*{sentence}"):
        read_annotations(path, keeping=Keeping(valid_ratio=0.1))


def test_without_frame_inds_the_remedy_is_not_a_renamed_key(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    changed(path, lambda record: record.pop("frame_inds"))
    with pytest.raises(BadInput, match=r"'v_001' .*has no keypoint; add it$"):
        read_annotations(path)


SPEC = StoreSpec(
    skeleton_named("coco17"),
    "2d",
    normalise="2d",
    classes=CLASSES,
    source=source_named("mmaction2", box_score=0.6, persons=2),
)


def test_coordinates_that_float16_cannot_hold_are_refused(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    part = tmp_path / "kpfiles" / "part_1.pkl"
    held = pickle.loads(part.read_bytes())
    held["v_001"]["keypoint"] = held["v_001"]["keypoint"].astype(np.float32) * 1e6
    part.write_bytes(pickle.dumps(held))
    with pytest.raises(BadInput, match="'v_001' has coordinate inf"):
        open_or_build(path, SPEC, tmp_path / "stores")


def test_helpers_build_the_store_that_is_built_alone(tmp_path, monkeypatch):
    path = write_listed(tmp_path, CLASSES)
    alone = open_or_build(path, SPEC, tmp_path / "alone")
    monkeypatch.setattr(building, "ALONE", 0)
    monkeypatch.setattr(building, "BYTES", 20_000)
    monkeypatch.setattr(building, "cores", lambda: 2)
    together = open_or_build(path, SPEC, tmp_path / "together")
    for name in ("frames.bin", "samples.npy", "splits.npy"):
        assert (alone.folder / name).read_bytes() == (together.folder / name).read_bytes()


def test_of_the_skeletons_few_are_held_and_few_files_are_open(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "BYTES", 20_000)
    monkeypatch.setattr(of_sources, "OPEN", 1)
    path = write_listed(tmp_path, CLASSES)
    alive, opened = [], []

    def read(array, file, original=ArrayInFile.read):
        found = original(array, file)
        if found.ndim == 3:
            alive.append(found.nbytes)
        return found

    def open_counted(path, original=of_sources.opened):
        opened.append(path)
        return original(path)

    monkeypatch.setattr(ArrayInFile, "read", read)
    monkeypatch.setattr(of_sources, "opened", open_counted)
    placed = read_annotations(path, in_place=True)
    assert alive == []  # nothing is read of them before it is their turn
    assert all(isinstance(sample.keypoint, Placed) for sample in placed.samples)
    open_or_build(path, SPEC, tmp_path / "stores")
    assert len(opened) > 2 * CLASSES - 2  # the two files alternate, of which one stays open


def test_a_store_is_built_again_when_key_points_change(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    first = open_or_build(path, SPEC, tmp_path / "stores").frames.clone()
    part = tmp_path / "kpfiles" / "part_0.pkl"
    held = pickle.loads(part.read_bytes())
    for one in held.values():
        one["keypoint"] += 1
    part.write_bytes(pickle.dumps(held))
    again = open_or_build(path, SPEC, tmp_path / "stores")
    assert again.frames.shape == first.shape
    assert not again.frames.equal(first)
    part.unlink()  # which the store does not need any more
    assert open_or_build(path, SPEC, tmp_path / "stores").frames.equal(again.frames)


def test_key_points_that_change_while_they_are_read_are_refused(tmp_path):
    path = write_listed(tmp_path, CLASSES)

    class Changing(building.Watch):
        def begin(self, plan):
            os.utime(tmp_path / "kpfiles" / "part_1.pkl", (1, 1))

    with pytest.raises(BadInput, match="changed while it was read"):
        open_or_build(path, SPEC, tmp_path / "stores", Changing())


def test_samples_that_show_nobody_are_refused_or_left_out(tmp_path):
    path = write_listed(tmp_path, CLASSES)
    changed(path, lambda record: record["box_score"].fill(0.55))
    with pytest.raises(BadInput, match=r"'v_001' has no persons.*data\.on_bad_sample=drop"):
        open_or_build(path, SPEC, tmp_path / "stores")
    dropping = StoreSpec(**{**vars(SPEC), "on_bad_sample": "drop"})
    store = open_or_build(path, dropping, tmp_path / "stores")
    assert [re.sub(",.*", "", line) for line in store.dropped] == ["dropped sample 'v_001'"]
    assert len(store.ids) == 2 * CLASSES - 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"box_score": 5}, r"benchmark\.source\.box_score=5 must be a number from 0 to 1"),
        ({"valid_ratio": "x"}, r"benchmark\.source\.valid_ratio='x' must be a number"),
        ({"persons": 11}, r"benchmark\.source\.persons=11 must be a whole number from 1 to 10"),
        ({"box_scor": 0.5}, r"no key benchmark\.source\.box_scor: did you mean box_score\?"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(BadInput, match=words):
        source_named("mmaction2", **options)


def test_options_are_of_one_reader_and_part_of_a_store_s_name():
    with pytest.raises(BadInput, match="the source npz has no options"):
        source_named("npz", box_score=0.5)
    named = source_named("mmaction2", box_score=0.5).name
    assert named == "mmaction2(box_score=0.5, persons=10, valid_ratio=0.0)"
    assert source_named("mmaction2", persons=10, box_score=0.5).name == named
