import numpy as np
import pytest
from helpers import body_at
from helpers import skeleton_text as text_of
from helpers import write_skeleton_file as write

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.ntu import (
    annotations_of,
    fingerprint,
    list_files,
    missing_samples,
    read_bodies,
    read_sample,
    read_samples,
)

FIRST = 72057594037931101  # what the tracker calls a body: too large a number for a float


def keypoint_of(folder, frames, name="S001C002P003R001A013"):
    sample, dropped = read_sample(write(folder, frames, name))
    return sample.keypoint, dropped


def test_one_body_is_taken_as_it_is_and_absent_frames_are_zero(tmp_path):
    joints = body_at(0.25)
    path = write(tmp_path, [{FIRST: joints}, {}, {FIRST: joints + 1}])
    sample, dropped = read_sample(path)
    assert (sample.id, sample.label, dropped) == ("S001C002P003R001A013", 12, 0)
    assert sample.keypoint.dtype == np.float16
    assert sample.keypoint.shape == (1, 3, 25, 3)
    np.testing.assert_allclose(sample.keypoint[0, 0], joints, atol=2e-3)
    np.testing.assert_allclose(sample.keypoint[0, 2], joints + 1, atol=2e-3)
    assert not sample.keypoint[0, 1].any()


def test_bodies_are_distinguished_by_the_last_digit_of_their_ids(tmp_path):
    frames = [{FIRST: body_at(0), FIRST + 1: body_at(2)} for _ in range(3)]
    _, bodies = read_bodies(write(tmp_path, frames))
    assert [len(seen) for seen, _ in bodies] == [3, 3]


def test_an_action_of_one_person_keeps_the_body_that_moves_most(tmp_path):
    frames = [{FIRST: body_at(0), FIRST + 1: body_at(2, moving=t / 10)} for t in range(20)]
    keypoint, dropped = keypoint_of(tmp_path, frames)
    assert len(keypoint) == dropped == 1
    assert keypoint[0, :, 0, 0].min() >= 2


def test_an_action_of_two_persons_keeps_the_two_that_move_most(tmp_path):
    frames = [
        {
            FIRST: body_at(0),
            FIRST + 1: body_at(2, moving=t / 20),
            FIRST + 2: body_at(5, moving=t / 10),
        }
        for t in range(20)
    ]
    keypoint, dropped = keypoint_of(tmp_path, frames, "S001C001P001R001A060")
    assert (len(keypoint), dropped) == (2, 1)
    np.testing.assert_allclose(keypoint[:, 0, 0, 0], [5, 2], atol=1e-2)


@pytest.mark.parametrize(("action", "persons"), [(49, 1), (50, 2), (60, 2), (61, 1), (105, 1)])
def test_which_actions_are_of_two_persons(tmp_path, action, persons):
    frames = [{FIRST: body_at(0), FIRST + 1: body_at(2)} for _ in range(12)]
    keypoint, _ = keypoint_of(tmp_path, frames, f"S001C001P001R001A{action:03}")
    assert len(keypoint) == persons


def test_a_body_of_eleven_frames_is_dropped_and_one_of_twelve_kept(tmp_path):
    for count, persons in ((11, 1), (12, 2)):
        frames = [{FIRST: body_at(0)} for _ in range(20)]
        for bodies in frames[:count]:
            bodies[FIRST + 1] = body_at(2)
        keypoint, dropped = keypoint_of(tmp_path, frames, "S001C001P001R001A050")
        assert (len(keypoint), dropped) == (persons, 2 - persons)


@pytest.mark.parametrize(("noisy", "persons"), [(13, 2), (14, 1)])  # of 20; the limit is 0.69754
def test_a_body_too_wide_for_its_height_in_too_many_frames_is_dropped(tmp_path, noisy, persons):
    frames = [
        {FIRST: body_at(0), FIRST + 1: body_at(2, wide=1.7 * (0.81 if t < noisy else 0.79))}
        for t in range(20)
    ]
    keypoint, dropped = keypoint_of(tmp_path, frames, "S001C001P001R001A050")
    assert (len(keypoint), dropped) == (persons, 2 - persons)


def test_a_test_of_noise_that_nobody_passes_drops_nobody(tmp_path):
    frames = [{FIRST: body_at(0, wide=3), FIRST + 1: body_at(2, wide=3)} for _ in range(5)]
    keypoint, dropped = keypoint_of(tmp_path, frames, "S001C001P001R001A050")
    assert (len(keypoint), dropped) == (2, 0)


def test_a_person_who_is_lost_and_found_again_is_one_person(tmp_path):
    frames = [{FIRST if t < 15 else FIRST + 1: body_at(t)} for t in range(30)]
    keypoint, dropped = keypoint_of(tmp_path, frames)
    assert dropped == 0
    np.testing.assert_allclose(keypoint[0, :, 0, 0], range(30), atol=1e-2)


def test_a_file_without_bodies_has_no_persons(tmp_path):
    assert keypoint_of(tmp_path, [{}, {}])[0].shape == (0, 2, 25, 3)


GOOD = text_of([{FIRST: body_at(0)}] * 2).splitlines()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "truncated: line 1 should hold the number of frames"),
        (GOOD[:20], "truncated: line 21 should hold the 12 numbers of a joint"),
        (GOOD[:29], "truncated: line 30 should hold the number of bodies"),
        ([*GOOD[:10], "1 2 3", *GOOD[11:]], "line 11 should hold the 12 numbers .* is '1 2 3'"),
        ([*GOOD[:10], "x" + GOOD[10], *GOOD[11:]], "line 11 should hold the 12 numbers of a joint"),
        (["-1"], "line 1 should hold the number of frames but is '-1'"),
        (["two"], "line 1 should hold the number of frames but is 'two'"),
        ([*GOOD[:3], "24", *GOOD[4:]], "line 4 should hold 25 joints but is '24'"),
        ([*GOOD[:2], "a" + GOOD[2], *GOOD[3:]], "line 3 should hold an id"),
        ([*GOOD, "", "1"], "line 59 should hold nothing, after the last frame, but is '1'"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, lines, message):
    path = write(tmp_path, "\n".join(lines))
    with pytest.raises(BadInput, match=f"{path.name} is .*{message}"):
        read_sample(path)


def test_a_folder_gives_the_files_of_a_data_set_that_are_not_listed_as_missing(tmp_path):
    one = [{FIRST: body_at(0)}]
    ours = write(tmp_path / "nturgb+d_skeletons", one)
    theirs = write(tmp_path / "nturgb+d_skeletons120", one, "S018C001P008R001A061")
    write(tmp_path, "", "S001C002P005R002A008")  # listed
    assert list_files(tmp_path, "ntu60") == ([ours], 1, 1)
    assert list_files(tmp_path, "ntu120") == ([ours, theirs], 1, 0)


def test_the_list_of_missing_samples_is_that_of_the_authors():
    missing = missing_samples()
    assert len(missing) == 535
    assert sum(int(name[-3:]) <= 60 for name in missing) == 302
    assert all(len(name) == 20 for name in missing)


def test_splits_follow_subjects_cameras_and_setups(tmp_path):
    one = [{FIRST: body_at(0)}]
    names = ["S001C002P001R001A001", "S002C001P003R001A001"]
    samples = [read_sample(write(tmp_path, one, name))[0] for name in names]
    assert annotations_of(samples, "ntu60").splits == {
        "xsub_train": names[:1],
        "xsub_val": names[1:],
        "xview_train": names[:1],
        "xview_val": names[1:],
    }
    assert annotations_of(samples, "ntu120").splits == {
        "xsub_train": names[:1],
        "xsub_val": names[1:],
        "xset_train": names[1:],
        "xset_val": names[:1],
    }


def test_splits_without_samples_are_left_out(tmp_path):
    sample, _ = read_sample(write(tmp_path, [{FIRST: body_at(0)}]))
    assert set(annotations_of([sample], "ntu60").splits) == {"xsub_val", "xview_train"}


@pytest.mark.parametrize("name", ["skeleton", "S001C002P003R001A121", "S000C002P003R001A001"])
def test_a_file_that_is_no_sample_is_named(tmp_path, name):
    path = write(tmp_path, "", name)
    with pytest.raises(BadInput, match=f"{path} is no sample of NTU RGB.D, .* rename or remove"):
        list_files(tmp_path, "ntu120")


def test_folders_that_hold_nothing_of_use_are_distinguished(tmp_path):
    with pytest.raises(BadInput, match=r"there is no folder .*absent"):
        list_files(tmp_path / "absent", "ntu60")
    with pytest.raises(BadInput, match=r"there are no .skeleton files in"):
        list_files(tmp_path, "ntu60")
    write(tmp_path, "", "S018C001P008R001A061")
    with pytest.raises(BadInput, match=r"none of the 1 .skeleton files in .* belongs to ntu60"):
        list_files(tmp_path, "ntu60")


def test_a_sample_that_lies_there_twice_is_named(tmp_path):
    write(tmp_path, "")
    write(tmp_path / "copy", "")
    with pytest.raises(BadInput, match="are the same sample: remove one"):
        list_files(tmp_path, "ntu60")


def test_the_fingerprint_changes_with_the_files(tmp_path):
    files = [write(tmp_path, [{FIRST: body_at(0)}])]
    before = fingerprint(files)
    assert fingerprint(files) == before
    files[0].write_text(files[0].read_text() + "\n")
    assert fingerprint(files) != before


@pytest.mark.slow
def test_processes_read_what_one_process_reads(tmp_path):
    names = [f"S001C001P001R001A{i:03}" for i in range(1, 21)]
    files = [write(tmp_path, [{FIRST: body_at(i)}], name) for i, name in enumerate(names)]
    alone, together = list(read_samples(files, 0)), list(read_samples(files, 1))
    assert [sample.id for sample, _ in together] == names
    for (ours, _), (theirs, _) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(ours.keypoint, theirs.keypoint)
    files[7].write_text("1")
    with pytest.raises(BadInput, match=r"S001C001P001R001A008.skeleton is truncated"):
        list(read_samples(files, 1))
