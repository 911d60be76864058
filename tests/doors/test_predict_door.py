"""The predict door answers as the test door does, for anybody's key points."""

import csv
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from answering import (
    BENCHMARK,
    CHECKPOINT,
    embedded,
    write_checkpoint,
    write_embedded,
    write_recording,
)

from stgcn_lightning.data.names import FOUR_STREAMS, STREAMS
from stgcn_lightning.evaluation.scores import read_scores

ALL = "top=99"  # more than there are: all classes
TOLERANCE = 1e-6  # of float32 sums of up to 12 classes over 3 clips in another order


@pytest.fixture
def predict(door):
    """Answers of the door as parsed JSON, and what it said: (arguments) -> (content, remarks)."""

    def run(*arguments):
        status, out, err = door("predict", *arguments, "format=json")
        assert status == 0, err
        return json.loads(out), err

    return run


@pytest.fixture
def joint(tmp_path):
    return write_checkpoint(tmp_path / "joint.safetensors")


@pytest.fixture
def recording(tmp_path):
    return write_recording(tmp_path / "wave.npz", next(iter(embedded().values())))


def scores_of(content):
    """All scores of each recording with one answer, in the order of the classes, by its name."""
    found = {}
    for one in content["recordings"]:
        (answer,) = one["answers"]
        found[one["recording"]] = by_class(answer, len(content["classes"]))
    return found


def by_class(answer, classes):
    scores = np.full(classes, np.nan)
    for row in answer["top"]:
        scores[row["index"]] = row["score"]
    return scores


def compare(content, scores):
    found = scores_of(content)
    assert list(found) == scores.ids.tolist()
    np.testing.assert_allclose(list(found.values()), scores.scores, atol=TOLERANCE)


@pytest.mark.slow
def test_the_answers_are_those_of_a_test_for_every_stream_and_the_fusion(door, predict, tmp_path):
    annotations = write_embedded(tmp_path / "embedded.pkl")
    files = {name: write_checkpoint(tmp_path / f"{name}.safetensors", name) for name in STREAMS}
    common = [f"source={annotations}", "split=val", ALL]
    for name, file in files.items():
        status, _, err = door(
            "test", *BENCHMARK, "experiment=quickstart", "trainer=cpu", f"stream={name}",
            f"checkpoint={file}", "model.base_channels=2", "data.clip_frames=24",
            "data.test_clips=3", f"scores={name}.npz", f"hydra.run.dir=test_{name}",
        )  # fmt: skip
        assert status == 0, err
        content, _ = predict(f"checkpoint={file}", *common)
        compare(content, read_scores(f"{name}.npz"))
    spread = np.ptp(read_scores("joint.npz").scores, axis=0).max()
    assert spread > 0.1  # the answers differ from sample to sample
    for number, (how, names) in enumerate(
        (
            ("preset=four_stream", FOUR_STREAMS),
            ("preset=six_stream", STREAMS),
            ("weights={joint: 3, joint_motion: 0, bone: 1, bone_motion: 2}", FOUR_STREAMS),
        )
    ):
        several = "{" + ", ".join(f"{name}: {files[name]}" for name in names) + "}"
        scores = "{" + ", ".join(f"{name}: {name}.npz" for name in names) + "}"
        status, _, err = door("fuse", f"streams={scores}", how, f"scores=fused_{number}.npz")
        assert status == 0, err
        content, _ = predict(f"checkpoint={several}", how, *common)
        compare(content, read_scores(f"fused_{number}.npz"))
        assert content["weights"]["joint"] in (2, 3)


def test_a_file_a_folder_annotations_and_standard_input_have_the_same_answers(
    predict, joint, tmp_path, monkeypatch
):
    samples = embedded()
    annotations = write_embedded(tmp_path / "embedded.pkl", np.float32)
    with_labels, _ = predict(f"checkpoint={joint}", f"source={annotations}", "split=val", ALL)
    want = scores_of(with_labels)
    names = with_labels["classes"]
    for one in with_labels["recordings"]:
        assert one["label"] == names[samples[one["recording"]].label]
    for number, (name, sample) in enumerate(samples.items()):
        ending = ("npz", "json")[number % 2]
        write_recording(tmp_path / "recordings" / f"{name}.{ending}", sample)
    content, _ = predict(f"checkpoint={joint}", f"source={tmp_path / 'recordings'}", ALL)
    found = scores_of(content)
    assert found.keys() == want.keys()
    for name, scores in found.items():
        np.testing.assert_allclose(scores, want[name], atol=TOLERANCE)
    assert all(one["label"] is None for one in content["recordings"])

    files = sorted((tmp_path / "recordings").glob("*.json"))
    lines = "\n".join(file.read_text() for file in files).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    content, _ = predict(f"checkpoint={joint}", "source=-", ALL)
    for number, file in enumerate(files, 1):
        scores = scores_of(content)[f"line {number}"]
        np.testing.assert_allclose(scores, want[file.stem], atol=TOLERANCE)

    indented = json.dumps(json.loads(files[0].read_text()), indent=1).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(indented)))
    content, _ = predict(f"checkpoint={joint}", "source=-", ALL)
    np.testing.assert_allclose(scores_of(content)["-"], want[files[0].stem], atol=TOLERANCE)


def test_windows_have_the_answers_of_recordings_cut_to_them(predict, joint, tmp_path):
    sample = next(one for one in embedded().values() if one.keypoint.shape[1] > 55)
    frames = sample.keypoint.shape[1]
    whole = write_recording(tmp_path / "whole.npz", sample)
    content, _ = predict(f"checkpoint={joint}", f"source={whole}", "window=40", "stride=15", ALL)
    answers = content["recordings"][0]["answers"]
    places = [(answer["start"], answer["stop"]) for answer in answers]
    assert places == [(s, s + 40) for s in [*range(0, frames - 40, 15), frames - 40]]
    assert answers[1]["seconds"] == [0.5, 1.833]
    first = write_recording(tmp_path / "first.npz", sample, frames=40)
    alone, _ = predict(f"checkpoint={joint}", f"source={first}", ALL)
    np.testing.assert_allclose(by_class(answers[0], 12), scores_of(alone)["first"], atol=TOLERANCE)
    content, _ = predict(f"checkpoint={joint}", f"source={whole}", f"window={frames + 1}", ALL)
    assert [one["stop"] for one in content["recordings"][0]["answers"]] == [frames]


def test_each_person_is_answered_for_alone(predict, joint, tmp_path):
    one, other = list(embedded().values())[:2]
    both = np.zeros((2, 60, 17, 2), np.float32)
    both[0, 5:45] = one.keypoint[0, :40]
    both[1] = other.keypoint[0, :60]
    pair = {"keypoint": both, "score": np.float32((both != 0).any(-1)), "persons": ["Ada", "Bo"]}
    file = write_recording(tmp_path / "pair.npz", one, **pair)
    content, _ = predict(f"checkpoint={joint}", f"source={file}", "per_person=true", ALL)
    answers = content["recordings"][0]["answers"]
    assert [answer["person"] for answer in answers] == ["Ada", "Bo"]
    assert (answers[0]["start"], answers[0]["stop"]) == (5, 45)
    alone = write_recording(
        tmp_path / "ada.npz", one, keypoint=both[:1, 5:45], score=pair["score"][:1, 5:45]
    )
    want, _ = predict(f"checkpoint={joint}", f"source={alone}", ALL)
    np.testing.assert_allclose(by_class(answers[0], 12), scores_of(want)["ada"], atol=TOLERANCE)


def test_all_forms_say_the_same(door, joint, recording):
    arguments = [f"checkpoint={joint}", f"source={recording}", "top=2", "window=40"]
    outputs = {}
    for form in ("table", "json", "jsonl", "csv"):
        status, outputs[form], err = door("predict", *arguments, f"format={form}")
        assert status == 0, err
        assert "not calibrated" in err
    one = json.loads(outputs["json"])["recordings"][0]
    line = json.loads(outputs["jsonl"])
    assert line == one | {"calibrated": False}
    rows = list(csv.DictReader(io.StringIO(outputs["csv"])))
    answers = one["answers"]
    assert len(rows) == 2 * len(answers)
    for number, row in enumerate(rows):
        best = answers[number // 2]["top"][number % 2]
        assert (row["class"], float(row["score"])) == (best["class"], best["score"])
        assert int(row["rank"]) == number % 2 + 1
    head, *lines = outputs["table"].splitlines()
    assert head == "wave"
    for text, answer in zip(lines, answers, strict=True):
        best = answer["top"][0]
        assert f"{best['class']} {100 * best['score']:.1f} %" in text
        assert f"{answer['seconds'][0]:.2f} - " in text


def test_answers_go_to_a_file_that_is_not_there_yet(door, joint, recording):
    arguments = [f"checkpoint={joint}", f"source={recording}", "format=json", "out=answers.json"]
    status, out, err = door("predict", *arguments)
    assert (status, out) == (0, ""), err
    content = json.loads(Path("answers.json").read_text())
    assert content["calibrated"] is False
    assert (content["skeleton"], content["stream"]) == ("coco17", "joint")
    status, _, err = door("predict", *arguments)
    assert status == 2
    assert "predict: out=answers.json exists already" in err
    assert json.loads(Path("answers.json").read_text()) == content


def test_a_bad_file_of_a_folder_is_named_and_the_others_are_answered(door, joint, tmp_path):
    samples = list(embedded().values())
    folder = tmp_path / "folder"
    for number in range(3):
        write_recording(folder / f"good_{number}.npz", samples[number])
    (folder / "broken.json").write_text('{"keypoint": ')
    write_recording(folder / "other.json", samples[0], keypoint=np.ones((1, 9, 4, 2)), score=None)
    write_recording(folder / "empty.npz", samples[0], keypoint=np.zeros((1, 9, 17, 2)), score=None)
    (folder / "notes.txt").write_text("no key points")
    status, out, err = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "format=json", "out=a.json"
    )
    assert status == 2
    assert not out
    assert err.strip().endswith(
        "predict: 3 of 6 recordings could not be answered for: they are named above, the others "
        "are answered"
    )
    content = json.loads(Path("a.json").read_text())
    assert [one["recording"] for one in content["recordings"]] == ["good_0", "good_1", "good_2"]
    names = sorted(fault["recording"] for fault in content["faults"])
    assert names == ["broken.json", "empty.npz", "other.json"]
    for fault in content["faults"]:
        assert fault["error"] in err


def test_what_was_decided_is_said_once_for_a_folder(door, joint, tmp_path):
    for number, sample in enumerate(list(embedded().values())[:3]):
        write_recording(tmp_path / "folder" / f"take {number}.npz", sample)
        write_recording(tmp_path / "folder" / f"{17 * number}.npz", sample)
    status, _, err = door("predict", f"checkpoint={joint}", f"source={tmp_path / 'folder'}")
    assert status == 0, err
    assert err.count("does not name its joints: taken for those of coco17") == 1


def test_joints_that_are_all_there_are_put_in_order_by_name(predict, joint, tmp_path):
    sample = next(iter(embedded().values()))
    names = json.loads(predict_card(joint))["skeleton"]["joints"]
    order = np.random.default_rng(0).permutation(17)
    plain = write_recording(tmp_path / "plain.npz", sample)
    shuffled = write_recording(
        tmp_path / "shuffled.npz", sample, keypoint=sample.keypoint[:, :, order],
        score=sample.score[:, :, order], joints=[names[i].upper() for i in order],
    )  # fmt: skip
    want, _ = predict(f"checkpoint={joint}", f"source={plain}", ALL)
    content, err = predict(f"checkpoint={joint}", f"source={shuffled}", ALL)
    np.testing.assert_allclose(
        scores_of(content)["shuffled"], scores_of(want)["plain"], atol=TOLERANCE
    )
    assert "17 of the 17 joints of coco17" in err


def predict_card(file):
    from stgcn_lightning.checkpoints.safetensors import read_safetensors

    return json.dumps(read_safetensors(file)[1])


def test_joints_that_are_missing_are_imputed_if_the_user_asks(door, predict, joint, tmp_path):
    sample = next(iter(embedded().values()))
    names = json.loads(predict_card(joint))["skeleton"]["joints"]
    kept = [i for i, name in enumerate(names) if name not in ("left_ear", "right_ear")]
    file = write_recording(
        tmp_path / "earless.npz", sample, keypoint=sample.keypoint[:, :, kept],
        score=sample.score[:, :, kept], joints=[names[i] for i in kept],
    )  # fmt: skip
    refused_answer = door("predict", f"checkpoint={joint}", f"source={file}")
    assert refused_answer[0] == 2
    assert "map=coco17 makes the others of those near them" in refused_answer[2]
    content, err = predict(f"checkpoint={joint}", f"source={file}", "map=coco17")
    assert "imputed left_ear from left_eye" in err
    assert any("imputed" in text for text in content["recordings"][0]["remarks"])
    refused_answer = door("predict", f"checkpoint={joint}", f"source={file}", "map=ntu25")
    assert "map=ntu25 is not the skeleton that the checkpoint sees" in refused_answer[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say which weights answer: checkpoint=FILE"),
        (["checkpoint=none.ckpt", "source=wave.npz"], "there is no file none.ckpt"),
        (["checkpoint={joint: 3}", "source=wave.npz"], "checkpoint.joint=3 is no path"),
        (["checkpoint=joint.safetensors"], "say what to answer for: source=FILE"),
        (["checkpoint=joint.safetensors", "source=none.npz"], "there is no file none.npz"),
        (["checkpoint=joint.safetensors", "source=wave.npz", "stride=5"], "add window=FRAMES"),
        (["checkpoint=joint.safetensors", "source=wave.npz", "chart=true"], "add window=FRAMES"),
        (["checkpoint=joint.safetensors", "source=wave.npz", "split=val"], "is one of annotations"),
        (["checkpoint=joint.safetensors", "source=wave.npz", "format=xml"], "format=xml is none"),
        (
            ["checkpoint=joint.safetensors", "source=wave.npz", "animate=a.avi"],
            "animate=a.avi is none of true, false, FILE.gif, FILE.mp4",
        ),
        (
            ["checkpoint=joint.safetensors", "source=wave.npz", "preset=two_stream"],
            "preset and weights are of several checkpoints",
        ),
        (
            ["checkpoint={joint: joint.safetensors}", "source=wave.npz", "preset=two_stream"],
            "preset=two_stream is for the streams joint, bone",
        ),
        (
            ["checkpoint=joint.safetensors", "source=wave.npz", "device=gpu"],
            "device=gpu is none of auto, cpu, cuda",
        ),
        (
            ["checkpoint={a: joint.safetensors, b: other.safetensors}", "source=wave.npz"],
            "checkpoint.a and checkpoint.b have different classes, class 0 is sit_down and sit",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_one_sentence(
    door, joint, recording, arguments, words, tmp_path
):
    names = [f"class_{i}" for i in range(12)]
    write_checkpoint(tmp_path / "other.safetensors", classes=["sit", *names[1:]])
    status, out, err = door("predict", *arguments)
    assert status == 2, err
    assert not out
    last = err.strip().splitlines()[-1]
    assert last.startswith("predict: ")
    assert words in last


def test_weights_without_a_card_are_refused_with_the_remedy(door, recording, tmp_path):
    import torch

    from stgcn_lightning.checkpoints.weights import load_model

    torch.save(load_model(CHECKPOINT)[0].state_dict(), tmp_path / "bare.pth")
    status, _, err = door("predict", "checkpoint=bare.pth", f"source={recording}")
    assert status == 2
    assert "does not say what it was trained on: export it with experiment=NAME" in err


def test_the_folder_of_a_run_is_its_best_checkpoint(door, predict, recording, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes(CHECKPOINT.read_bytes())
    _, err = predict("checkpoint=run", f"source={recording}")
    assert "run is a folder: its best.ckpt is taken" in err


def test_what_other_packages_log_is_no_answer(door, joint, recording, monkeypatch):
    from stgcn_lightning.jobs.prediction.judging import Judges

    scores = Judges.scores

    def logging_scores(judges, samples):
        logging.getLogger("matplotlib.font_manager").warning("generated new fontManager")
        return scores(judges, samples)

    monkeypatch.setattr(Judges, "scores", logging_scores)
    status, out, err = door("predict", f"checkpoint={joint}", f"source={recording}", "format=json")
    assert status == 0, err
    json.loads(out)
    assert "generated new fontManager" in err


def test_files_that_differ_in_their_endings_have_two_names(door, joint, tmp_path):
    sample = next(iter(embedded().values()))
    for name in ("sub/a.npz", "sub/a.json", "a.npz"):
        write_recording(tmp_path / "folder" / name, sample)
    status, out, err = door("predict", f"checkpoint={joint}", "source=folder", "format=jsonl")
    assert status == 0, err
    names = [json.loads(line)["recording"] for line in out.splitlines()]
    assert names == ["a", "sub/a", "sub/a.npz"]


@pytest.mark.parametrize("content", ["", "{", '{"keypoint": 3}'])
def test_a_source_that_cannot_be_read_leaves_no_half_of_a_document(door, joint, tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    status, out, _ = door("predict", f"checkpoint={joint}", "source=a.json", "format=json")
    assert (status, out) == (2, "")


def test_one_recording_of_a_file_spoils_no_other(door, joint, tmp_path, monkeypatch):
    person = {"img_shape": [480, 640], "keypoint": np.full((1, 4, 17, 2), 9.0).tolist()}
    content = json.dumps([person, {"keypoint": np.full((1, 4, 3, 2), 9.0).tolist()}, person])
    (tmp_path / "a.json").write_text(content)
    arguments = ["predict", f"checkpoint={joint}", "format=json"]
    status, out, err = door(*arguments, "source=a.json")
    assert status == 2
    assert len(json.loads(out)["recordings"]) == 2
    assert json.loads(out)["faults"][0]["recording"] == "a:1"
    assert "1 of 3 recordings could not be answered for" in err


def test_frames_between_windows_for_which_nothing_is_answered_are_said(door, joint, tmp_path):
    source = write_recording(tmp_path / "a.npz", next(iter(embedded().values())))
    arguments = ["predict", f"checkpoint={joint}", f"source={source}", "window=9"]
    assert "stride=10 is longer than window=9" in door(*arguments, "stride=10")[2]
    assert "longer" not in door(*arguments, "stride=9")[2]


def test_empty_standard_input_is_said_to_be_empty(door, joint, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n\n")))
    status, out, err = door("predict", f"checkpoint={joint}", "source=-", "format=json")
    assert (status, out) == (2, "")
    assert "standard input is empty" in err


def test_weights_that_fit_no_checkpoint_are_refused_before_any_answer(door, joint, tmp_path):
    several = f"checkpoint={{joint: {joint}, bone: {joint}}}"
    sample = next(iter(embedded().values()))
    source = write_recording(tmp_path / "a.npz", sample)
    for weights in ("{joint: 2}", "{joint: -2, bone: 1}", "{joint: 0, bone: 0}"):
        arguments = [several, f"weights={weights}", f"source={source}", "format=json"]
        status, out, err = door("predict", *arguments)
        assert (status, out) == (2, "")
        assert "predict: weights" in err
        assert "could not be answered" not in err
