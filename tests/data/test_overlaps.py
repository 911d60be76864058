"""What the two splits of a benchmark share, and which classes each of them lacks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.data.overlaps import judge_splits
from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations

PAIR = Skeleton("pair", ("a", "b"), ((1, 0),), 0, (0, 0), (), None)
CLASSES = ["sit", "stand", "run"]


def samples_of(count, seed=0, camera=1):
    """Of ten subjects, all classes in turn, named as NTU RGB+D names them."""
    rng = np.random.default_rng([seed, camera])
    return [
        Sample(
            f"S001C{camera:03}P{i % 10:03}R{i // 10:03}A{i % 3:03}",
            i % 3,
            rng.uniform(1, 100, (1, 3, 2, 2)),
        )
        for i in range(count)
    ]


@pytest.fixture
def judged(tmp_path_factory):
    def judge(samples, subject=None, **splits):
        root = tmp_path_factory.mktemp("judged")
        write_annotations(root / "a.pkl", Annotations(samples, splits))
        spec = StoreSpec(PAIR, "2d", normalise="none", classes=3)
        store = open_or_build(root / "a.pkl", spec, root)
        found = judge_splits(store.divided(), "train", "val", CLASSES, subject)
        return [str(one) for one in found]

    return judge


few = settings(max_examples=5, suppress_health_check=["function_scoped_fixture"])


@pytest.mark.parametrize("subject", [None, r"P(\d+)", "no such text (.)"])
@settings(few, max_examples=2)
@given(seed=st.integers(0, 99))
def test_splits_by_subject_camera_or_chance_are_not_accused(judged, subject, seed):
    samples = samples_of(60, seed) + samples_of(60, seed, camera=2)
    ids = np.array([sample.id for sample in samples])
    by_chance = np.random.default_rng(seed).permutation(120) < 80
    by_subject = np.array([int(id.split("P")[1][:3]) < 6 for id in ids])
    by_camera = np.array(["C001" in id for id in ids])
    for first in (by_chance, by_subject, by_camera):
        splits = {"train": ids[first].tolist(), "val": ids[~first].tolist()}
        assert judged(samples, subject, **splits) == []


def test_other_protocols_in_the_same_file_are_not_asked(judged):
    samples = samples_of(60)
    ids = [sample.id for sample in samples]
    assert judged(samples, train=ids[:30], val=ids[30:], xview_val=ids[:40], all=ids) == []


@few
@given(st.integers(1, 30))
def test_ids_in_both_splits_are_named(judged, shared):
    samples = samples_of(60)
    ids = [sample.id for sample in samples]
    (found,) = judged(samples, r"P(\d+)", train=ids[:30], val=ids[30 - shared :])
    share = 100 * shared / (30 + shared)
    assert found.startswith(f"{share:.{1 if share < 10 else 0}f} % of the split 'val' are in 'tr")
    assert f"e.g. '{ids[30 - shared]}'" in found


@few
@given(st.integers(0, 29))
def test_the_same_key_points_by_another_name_are_found(judged, copied):
    samples = samples_of(60)
    ids = [sample.id for sample in samples]
    samples[45] = replace(samples[45], keypoint=samples[copied].keypoint)
    (found,) = judged(samples, train=ids[:30], val=ids[30:])
    assert found.startswith("3.3 % of the split 'val' have the same key points as samples of 'tra")
    assert f"(e.g. '{ids[45]}' and '{ids[copied]}')" in found


def test_samples_in_which_nothing_was_found_are_no_copies(judged):
    samples = samples_of(60)
    ids = [sample.id for sample in samples]
    for i in (0, 40):
        samples[i] = replace(samples[i], keypoint=np.zeros((1, 3, 2, 2)))
    assert judged(samples, train=ids[:30], val=ids[30:]) == []


def test_a_few_subjects_in_both_splits_are_named(judged):
    samples = samples_of(60)
    ids = [sample.id for sample in samples]
    validated = [id for id in ids if "P00" in id and id.split("P")[1][:3] > "003"]
    leaked = next(id for id in validated if "P007" in id)
    train = [id for id in ids if id not in validated] + [leaked]
    # one sample of subject 7 is trained on, and the five others are validated on
    validated.remove(leaked)
    (found,) = judged(samples, r"P(\d+)", train=train, val=validated)
    assert "% of the split 'val' are of subjects of 'train' (007)" in found


def test_classes_without_samples_are_named(judged):
    samples = samples_of(60)
    sitting, others = ([s.id for s in samples if (s.label == 0) == sits] for sits in (1, 0))
    untrained, unasked = (
        judged(samples, train=others[:20], val=sitting),
        judged(samples, train=sitting[:10] + others, val=sitting[10:]),
    )
    assert untrained[0].startswith(
        "1 of 3 classes ('sit') have no sample in the split 'train', though 'val' has 20: a model"
    )
    assert unasked == [
        "2 of 3 classes ('stand', 'run') have no sample in the split 'val': its figures say "
        "nothing of them; give samples"
    ]


def test_a_first_class_that_is_never_seen_may_be_that_of_labels_from_1(judged):
    samples = [replace(sample, label=1 + sample.label % 2) for sample in samples_of(60)]
    ids = [sample.id for sample in samples]
    (found,) = judged(samples, train=ids[:40], val=ids[40:])
    assert found.endswith("or let labels count from 0, if they count from 1")
