"""What a store keeps of the pass over its samples, and what becomes of missing joints in it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import skeleton

from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

SPEC = StoreSpec(skeleton("coco17"), "2d", normalise="2d", classes=12)


@pytest.fixture
def written(tmp_path):
    """A function that writes samples of the embedded data, changed, and returns the file."""

    def write(change=lambda sample: sample, extension=""):
        made = synthetic_annotations("2d", 24, 12, max_frames=40)
        splits = {name: [id + extension for id in ids] for name, ids in made.splits.items()}
        samples = [change(sample) for sample in made.samples]
        write_annotations(tmp_path / "a.pkl", replace(made, samples=samples, splits=splits))
        return tmp_path / "a.pkl"

    return write


def holed(sample):
    keypoint = sample.keypoint.copy()
    keypoint[0, 5:9, 3] = np.nan
    return replace(sample, keypoint=keypoint)


def test_findings_are_said_again_whenever_the_store_is_opened(written, tmp_path):
    file = written(lambda sample: replace(sample, score=sample.score * 100))
    first = open_or_build(file, SPEC, tmp_path)
    again = open_or_build(file, SPEC, tmp_path)
    assert "of the scores are above 1" in str(first.findings[0])
    assert again.findings == first.findings


def test_good_annotations_leave_no_finding(written, tmp_path):
    store = open_or_build(written(), SPEC, tmp_path)
    assert (store.findings, store.renamed) == ([], [])
    assert len(set(store.digests.tolist())) == 36


def test_what_cannot_be_right_leaves_no_store(written, tmp_path):
    file = written(lambda sample: replace(sample, keypoint=sample.keypoint / np.float16(2000)))
    with pytest.raises(BadInput, match="scaled to"):
        open_or_build(file, SPEC, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_an_older_store_is_built_again_if_its_annotations_are_there(written, tmp_path):
    file = written()
    folder = open_or_build(file, SPEC, tmp_path).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    new = ("judged", "findings", "build", "parts", "digest", "source_state", "source_content")
    old = {key: value for key, value in manifest.items() if key not in new}
    (folder / "manifest.json").write_text(json.dumps(old | {"dropped": ["of old"]}))
    (folder / "digests.npy").unlink()
    away = file.rename(tmp_path / "away.pkl")
    kept = open_or_build(file, SPEC, tmp_path)
    assert (kept.dropped, kept.findings, kept.digests) == (["of old"], [], None)
    away.rename(file)
    assert open_or_build(file, SPEC, tmp_path).digests is not None


def test_ids_of_splits_are_replaced_and_said(written, tmp_path):
    store = open_or_build(written(extension=".skeleton"), SPEC, tmp_path)
    assert [len(numbers) for numbers in store.splits.values()] == [24, 12]
    assert "differ in extension" in store.renamed[0]


def test_each_way_with_missing_joints_is_a_store_of_its_own(written, tmp_path):
    file = written(holed)
    with pytest.raises(BadInput, match=r"has coordinate nan .*data\.missing=interpolate"):
        open_or_build(file, SPEC, tmp_path)
    stores = {
        how: open_or_build(file, replace(SPEC, missing=how), tmp_path)
        for how in ("zero", "interpolate")
    }
    assert len({store.folder for store in stores.values()}) == 2
    for how, store in stores.items():
        rows = store.first_row[0] + torch.arange(4, 10)
        x, score = store.frames[rows, 3, 0].float(), store.frames[rows, 3, 2]
        assert (score[1:5] == 0).all()
        assert (score[[0, 5]] > 0).all()
        if how == "zero":
            assert (x[1:5] == -1).all()  # the corner of the picture
        else:
            line = x[0] + (x[5] - x[0]) * torch.arange(6) / 5
            torch.testing.assert_close(x, line, atol=2e-3, rtol=0)
        assert "of the joints are missing, mostly as NaN" in str(store.findings[0])


@pytest.mark.parametrize("how", ["zero", "interpolate"])
def test_complete_samples_are_the_same_however_missing_joints_are_treated(written, tmp_path, how):
    file = written()
    plain = open_or_build(file, SPEC, tmp_path)
    other = open_or_build(file, replace(SPEC, missing=how), tmp_path)
    assert plain.folder != other.folder
    first = plain.num_persons == 1  # a second person is absent here and there
    rows = [
        row
        for begin, frames in zip(plain.first_row[first], plain.num_frames[first], strict=True)
        for row in range(begin, begin + frames)
    ]
    assert torch.equal(plain.frames[rows], other.frames[rows])


def test_another_way_is_refused():
    with pytest.raises(BadInput, match=r"data\.missing='mean' is none of error, zero, interp"):
        replace(SPEC, missing="mean")
