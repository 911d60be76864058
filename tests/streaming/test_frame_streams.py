"""Labels while persons move: by windows as offline, frame by frame as the continual network."""

import threading

import numpy as np
import pytest
import torch
from helpers import LEGACY, three_stages
from small_streams import PICTURE, T, checkpoint_of, people
from whole_sequences import whole_sequence

from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.store import store_in_memory
from stgcn_lightning.errors import BadInput
from stgcn_lightning.predictor import load
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.streaming.resampling import Resampling


@pytest.fixture
def predictor_of(tmp_path):
    def make(*args, **card):
        with three_stages():
            return load(checkpoint_of(tmp_path, *args, **card))

    return make


# Windows


@pytest.mark.parametrize("stream", STREAMS)
def test_a_window_is_answered_as_the_recording_of_its_frames(predictor_of, stream):
    predictor, (body,) = predictor_of(stream), people()
    live = predictor.stream(fps=30, img_shape=PICTURE, least=1)
    for t in range(T):
        label = live.push(body[t])
        offline = predictor(body[None, max(0, t - 11) : t + 1], img_shape=PICTURE)
        answer = live.answers[0]
        np.testing.assert_allclose(answer.scores, offline, atol=1e-6)
        assert label == answer.label == predictor.classes[offline.argmax()]
        assert (answer.frame, answer.seconds) == (t, t / 30)


@pytest.mark.parametrize("mode", ["3d", "3d_centred", "none"])
def test_bodies_in_metres_are_answered_as_offline(predictor_of, mode):
    predictor, (body,) = predictor_of("joint", "3d", mode), people(1, T, 25, 3)
    live = predictor.stream()
    for t in range(T):
        live.push(body[t])
    np.testing.assert_allclose(live.answers[0].scores, predictor(body[None, -12:]), atol=1e-6)


def test_gaps_are_filled_as_in_the_training(predictor_of):
    predictor, (body,) = predictor_of(missing="interpolate"), people()
    body[20:30, 3, :2] = np.nan
    body[33:, 5] = 0
    live = predictor.stream(img_shape=PICTURE)
    for t in range(T):
        live.push(body[t])
    offline = predictor(body[None, -12:], img_shape=PICTURE)
    np.testing.assert_allclose(live.answers[0].scores, offline, atol=1e-6)
    continual = predictor.stream(img_shape=PICTURE, continual=True)
    for t in range(T):
        continual.push(body[t])
    assert np.isfinite(continual.answers[0].scores).all()


def test_nothing_is_answered_before_a_window_is_full_and_between_answers(predictor_of):
    predictor, (body,) = predictor_of(), people()
    live = predictor.stream(img_shape=PICTURE, every=5)
    labels = [live.push(body[t]) for t in range(T)]
    assert labels[:11] == [None] * 11
    assert None not in labels[11:]  # the first full window has the first answer
    assert live.answers[0].frame == 36  # and every fifth frame after it another one


# Frame by frame


@pytest.mark.parametrize("stream", STREAMS)
def test_a_continual_answer_is_that_of_the_whole_sequence(predictor_of, stream):
    predictor, (body,) = predictor_of(stream), people(1, 60)
    live = predictor.stream(continual=True, img_shape=PICTURE, least=1)
    assert live.delay == 12 + ("motion" in stream)
    for t in range(60):
        label = live.push(body[t])
        assert (label is None) == (t < live.delay)
    # the features of all frames of a longer sequence, of which no end is near
    store = store_in_memory(
        [Sample("", 0, body[None, ..., :2], body[None, ..., 2], PICTURE)], predictor.spec
    )
    joints = ClipGatherer(store, predictor.input_stream, 1)(
        torch.tensor([0]), torch.arange(60)[None, None]
    )[0, 0]  # 1, T, V, C
    with torch.no_grad():
        last = 59 - live.delay
        features = whole_sequence(predictor.model, joints)[0, last - 11 : last + 1].mean(0)
        absent = predictor.model.features(torch.zeros(1, 12, 17, 3))[0]
        logits = predictor.model.classify(torch.stack([features, absent])[None])
    np.testing.assert_allclose(live.answers[0].scores, logits.softmax(-1)[0], atol=1e-5)


@pytest.mark.parametrize("continual", [False, True])
def test_people_are_judged_one_by_one_while_they_come_and_leave(predictor_of, continual):
    predictor, bodies = predictor_of(), people(3, 80)
    options = {"img_shape": PICTURE, "continual": continual, "gap": 3}
    live, alone = (predictor.stream(**options) for _ in range(2))
    comes, leaves = {"a": 0, "b": 10, "c": 30}, {"a": 50, "b": 80, "c": 80}
    for t in range(80):
        seen = {
            name: bodies[i, t] for i, name in enumerate(comes) if comes[name] <= t < leaves[name]
        }
        assert live.push(seen).keys() == seen.keys()
        if t >= 10:
            alone.push({"b": bodies[1, t]})
        assert ("a" in live.answers) == (max(11, live.delay) <= t < 53)
    assert set(live.answers) == {"b", "c"}
    np.testing.assert_allclose(live.answers["b"].scores, alone.answers["b"].scores, atol=1e-5)


@pytest.mark.parametrize("continual", [False, True])
def test_a_scene_has_one_answer_of_its_first_persons(predictor_of, continual):
    predictor, bodies = predictor_of(), people(3, 60)
    live = predictor.stream(img_shape=PICTURE, together=True, continual=continual)
    for t in range(60):
        label = live.push(bodies[:, t])
    assert label == live.answers["scene"].label
    other = predictor.stream(img_shape=PICTURE, together=True, continual=continual)
    for t in range(60):
        other.push(bodies[:2, t])
    np.testing.assert_allclose(
        live.answers["scene"].scores, other.answers["scene"].scores, atol=1e-6
    )
    if not continual:
        offline = predictor(bodies[:, -12:], img_shape=PICTURE)
        np.testing.assert_allclose(live.answers["scene"].scores, offline, atol=1e-6)


@pytest.mark.parametrize("mode", ["3d", "3d_centred"])
def test_a_body_in_metres_is_placed_by_its_first_frame(predictor_of, mode):
    """So a stream does not depend on where it stands."""
    predictor, (body,) = predictor_of("joint", "3d", mode), people(1, T, 25, 3)
    scores = []
    for one in (body, body + np.float32([2, 0, 1])):
        live = predictor.stream(continual=True)
        for t in range(T):
            live.push(one[t])
        scores.append(live.answers[0].scores)
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_a_body_that_is_centred_alone_is_not_turned(predictor_of):
    (body,) = people(1, T, 25, 3)
    scores = []
    for mode, one in (("3d_centred", body), ("none", body - body[0, 1]), ("3d", body)):
        live = predictor_of("joint", "3d", mode).stream(continual=True)
        for t in range(T):
            live.push(one[t])
        scores.append(live.answers[0].scores)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert np.abs(scores[0] - scores[2]).max() > 1e-3


# Rates


def test_frames_are_brought_to_the_rate_of_the_training(predictor_of):
    predictor, (body,) = predictor_of(), people()
    for given in ({"trained_fps": 10}, {}):
        fast = predictor_of(fps=10) if not given else predictor
        live = fast.stream(fps=30, img_shape=PICTURE, **given)
        slow = predictor.stream(img_shape=PICTURE)
        for t in range(T):
            label = live.push(body[t])
            if t % 3 == 0:
                assert slow.push(body[t]) == label
        assert live.frame == 14
        np.testing.assert_allclose(live.answers[0].scores, slow.answers[0].scores, atol=1e-6)


def test_a_window_in_seconds_has_so_many_frames(predictor_of):
    predictor = predictor_of()
    assert predictor.stream(fps=25, seconds=0.8, img_shape=PICTURE).window == 20
    rates = {"fps": 25, "trained_fps": 10}
    assert predictor.stream(seconds=0.8, img_shape=PICTURE, **rates).window == 8


def test_who_is_in_one_of_two_frames_is_between_them_in_the_nearer_one():
    body = np.ones((1, 2), np.float32)
    between = Resampling(4)
    between({"a": body})
    steps = between({"b": 2 * body})
    assert [[*step] for step in steps] == [["a"], ["a"], ["b"], ["b"]]


# Wrong input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"windw": 3}, "stream has no option windw: did you mean window"),
        ({"window": 0}, "window=0 is no number of frames from 1"),
        ({"every": 2.5}, "every=2.5 is no number of frames"),
        ({"fps": "30"}, "fps='30' is no number above 0"),
        ({"seconds": 3}, "seconds=3 needs the rate of what is pushed: give fps"),
        ({"fps": 30, "seconds": 3, "window": 20}, "window and seconds say the same"),
        ({"continual": True, "every": 3}, "every=3 is none of 1, 2, which"),
        ({"continual": True, "img_shape": None}, r"give img_shape=\(height, width\)"),
        ({"img_shape": 480}, "img_shape=480 is no size of a picture"),
        ({"img_shape": None}, r"give img_shape=\(height, width\)"),
        ({"continual": "no"}, "continual='no' is neither True nor False"),
        ({"together": 1}, "together=1 is neither True nor False"),
        ({"fps": 1e9}, "fps=1000000000.0 is no number above 0 and below a million"),
        ({"fps": 1e5, "trained_fps": 30}, "fps=100000.0 is more than 100 times as fast or as slow"),
        ({"fps": 1, "trained_fps": 1e5}, "fps=1 is more than 100 times as fast or as slow"),
        ({"fps": 1e5, "seconds": 1e5}, "seconds=100000.0 are more than 100000 frames"),
    ],
)
def test_a_wrong_option_is_named(predictor_of, options, words):
    with pytest.raises(BadInput, match=words):
        predictor_of().stream(**{"img_shape": PICTURE} | options)


@pytest.mark.parametrize("continual", [False, True])
def test_a_wrong_frame_is_refused_and_leaves_the_stream_as_it_was(predictor_of, continual):
    predictor, (body,) = predictor_of(), people()
    live = predictor.stream(img_shape=PICTURE, continual=continual, least=1)
    holed, far = body[0].copy(), body[0].copy()
    holed[4, 0], far[2, 1] = np.nan, 1e20
    for wrong, words in [
        (body[0, :16], r"frame 0 has key points of shape \(16, 3\) for person 0: give \(17, 2\)"),
        (np.zeros(3), r"a frame has shape \(3,\): give one person \(V, C\)"),
        (body[0].astype(str), "frame 0 holds <U"),
        (holed, "frame 0 has .*nan.* at joint 4 of person 0: the model was trained without gaps"),
        (
            far,
            r"frame 0 has .*1e\+20.* at joint 2 of person 0: no body is more than 1,000,000 away",
        ),
        (-np.inf + body[0], "no body is more than 1,000,000 away"),
        (body[0] / [640, 480, 1], "frame 0, person 0 has key points within .* of 0, where pixels"),
        ([[1, 2, 3], [4, 5]], "frame 0 has rows of several lengths: give"),
        ({"a": [[1, 2, 3], [4, 5]]}, "frame 0 has rows of several lengths for person a: give"),
        (None, "or {} where nobody is seen"),
        ({torch.tensor(3): body[0]}, r"a person tensor\(3\), who is not found again"),
        ({float("nan"): body[0]}, "a person nan, who is not found again"),
    ]:
        with pytest.raises(BadInput, match=words):
            live.push(wrong)
    assert live.pushed == live.frame == 0
    for t in range(12):
        live.push(body[t])
    for wrong, words in [(body[12, :, :2], r"frame 12 .* give \(17, 3\)"), (far, "1,000,000")]:
        with pytest.raises(BadInput, match=words):
            live.push(wrong)
    if continual:  # one who never pushed them has the same answers
        other = predictor.stream(img_shape=PICTURE, continual=True, least=1)
        for t in range(T):
            other.push(body[t])
        for t in range(12, T):
            live.push(body[t])
        offline = other.answers[0].scores
    else:
        offline = predictor(body[None, :12], img_shape=PICTURE)
    np.testing.assert_allclose(live.answers[0].scores, offline, atol=1e-6)


def test_who_has_no_joint_is_not_there(predictor_of):
    predictor, (body,) = predictor_of(), people()
    live = predictor.stream(img_shape=PICTURE, least=1)
    for nobody in (0, -1, np.nan):
        assert live.push({"a": body[0] * 0 + nobody}) == {}
    assert live.push({}) == live.answers == {}


def test_numbers_and_tensors_of_any_kind_are_taken(predictor_of):
    predictor, (body,) = predictor_of(), people()
    live = predictor.stream(fps=np.float32(30), window=np.int64(12), img_shape=PICTURE)
    for t in range(12):
        live.push(torch.tensor(body[t], requires_grad=True))
    offline = predictor(body[None, :12], img_shape=PICTURE)
    np.testing.assert_allclose(live.answers[0].scores, offline, atol=1e-6)


def test_answers_that_another_thread_reads_do_not_change(predictor_of):
    predictor, (body,) = predictor_of(), people()
    live = predictor.stream(img_shape=PICTURE, least=1, gap=0)
    live.push({"a": body[0]})
    before = live.answers
    for person in before:  # a change of the dict would end this loop with an error
        live.push({"b": body[1]})
        assert person == "a"
    assert [*before] == ["a"]
    assert [*live.answers] == ["b"]


def test_threads_that_ask_at_once_are_answered_alike():
    predictor, clips = load(LEGACY / "version_0_1_0_finished.ckpt"), people(6, 30)
    want = load(LEGACY / "version_0_1_0_finished.ckpt")(
        [body[None] for body in clips], img_shape=PICTURE
    )
    found, start = [None] * 6, threading.Barrier(6)

    def ask(i):
        start.wait()
        found[i] = [predictor(clips[i][None], img_shape=PICTURE) for _ in range(3)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(6):
        np.testing.assert_allclose(found[i], [want[i]] * 3, atol=1e-6)
