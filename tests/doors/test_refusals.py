"""Wrong input ends with status 2 and one sentence, at every front door."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from small_runs import RAW, TINY, refused

from stgcn_lightning.errors import nearest
from stgcn_lightning.evaluation.scores import read_scores


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["benchmark=ntu60_xsub_2d", "raw=raw"], ["ntu60_xsub_2d is 2D", "pose estimator"]),
        (["benchmark=msr_action3d_xsub", "raw=raw"], ["is not made of NTU RGB+D's .skeleton"]),
        (["benchmark=ntu60_xsub_3d", "raw=absent"], ["there is no folder absent"]),
        ([*RAW, "annotations=a.pkl"], ["give one of the two"]),
        (
            ["benchmark=ntu60_xsub_3d", "benchmark.annotations=null"],
            ["say where the annotations of ntu60_xsub_3d are", "raw=DIR"],
        ),
    ],
)
def test_wrong_input_of_prepare_is_one_sentence_and_status_2(door, raw, arguments, parts):
    refused(door("prepare", *arguments), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["experiment=ntu60_xsub_2d_bonee"], ["did you mean ntu60_xsub_2d_bone"]),
        (["recipe.learning_rate=1"], ["there is no key recipe.learning_rate", "did you mean"]),
        (["dat.batch_size=4"], ["did you mean data.batch_size"]),
        (["recipe.epochs=0"], ["recipe.epochs=0 must be a whole number of at least 1"]),
        (["recipe.lr=fast"], ["recipe.lr=fast must be a number"]),
        (["model.base_channels=1.5"], ["model.base_channels=1.5 must be a whole number"]),
        (["stream=bnoe"], ["there is no stream/bnoe: did you mean bone"]),
        (["benchmark.train_split=trian"], ["no split 'trian'", "did you mean train"]),
        (["benchmark.classes=3"], ["label", "benchmark.classes"]),
        (["benchmark.classes=names.txt"], ["names.txt is no file"]),
        (["skeleton=ntu25"], ["17", "25"]),
        (["data.batch_size=0"], ["data.batch_size=0 must be a whole number of at least 1"]),
        (["data.batch_size=many"], ["data.batch_size=many must be a whole number"]),
        (["data.workers=-1"], ["data.workers=-1"]),
        (["data.frame_order=reversed"], ["ordered, shuffled, single"]),
        (["model.graph=spatail"], ["spatail"]),
        (["checkpoint=absent.pth"], ["absent.pth"]),
        (["resume=absent.ckpt"], ["absent.ckpt"]),
        (["recipe.lr=1e30"], ["the loss of step", "lower recipe.lr", "keeps nothing from before"]),
    ],
)
def test_wrong_input_of_train_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("train", *TINY, *arguments), *parts)


def test_missing_annotations_say_where_to_get_them(door):
    refused(
        door("train", "experiment=ntu60_xsub_2d_bone", "downloads.folder=empty"),
        "no annotation file empty/ntu60_2d.pkl: ",
        "stgcn_lightning.prepare benchmark=ntu60_xsub_2d downloads the published one",
        "set benchmark.annotations=FILE",
    )
    refused(
        door("train", "benchmark=ntu60_xsub_3d", "downloads.folder=empty"),
        "set benchmark.annotations=FILE, or make it from NTU RGB+D's .skeleton files",
        "raw=DIR",
    )
    refused(
        door("train", "benchmark=jhmdb14_split1"), "say where the annotations of jhmdb14_split1"
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["streams='{joint: a.npz, bone: b.npz}'"]),
        (["streams={joint: absent.npz}"], ["absent.npz"]),
        (["streams={joint: a.npz}", "preset=three_stream"], ["two_stream, four_stream"]),
        (["streams={joint: a.npz}", "preset=two_stream", "weights={joint: 1}"], ["give one"]),
        (["streams={joint: a.npz}", "weights=best"], ["weights=best", "weights=learned"]),
        (["streams={joint: a.npz}", "tuning={joint: b.npz}"], ["weights=learned alone"]),
        (["streams={joint: a.npz}", "apply_softmax=1"], ["neither true nor false"]),
        (["streams={}"], ["say what to fuse"]),
        (["streams={joint: a.npz}", "weights={joint: true}"], ["are no weights"]),
        (["streams={joint: a.npz}", "scores=a.npz"], ["would overwrite an input"]),
        (["streams={joint: a.npz}", "scores=a.txt"], ["must end in .npz"]),
        (["streams={joint: a.npz}", "scores=/proc/no/a.npz"], ["choose another folder"]),
        (["streams={a: a.npz, b: ./a.npz}"], ["a and b are one file, ./a.npz: name each"]),
        (["streams={joint: a.npz}", "preset=two_stream"], ["joint, bone: add bone by name"]),
        (["streams={joint: .}"], ["joint=. is a folder: give a file, the scores.npz of a test"]),
    ],
)
def test_wrong_input_of_fuse_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("fuse", *arguments), *parts)


def test_test_without_a_checkpoint_says_so(door):
    refused(door("test", *TINY), "checkpoint=FILE")


class MakesFolder:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_hostile_pickle_is_named_and_executes_nothing(door, tmp_path):
    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(pickle.dumps(MakesFolder()))
    refused(
        door("train", *TINY, "benchmark.synthetic=null", f"benchmark.annotations={hostile}"),
        "hostile.pkl",
        "nothing in it was executed",
    )
    torch.save({"state_dict": MakesFolder()}, "hostile.pth")
    refused(
        door("test", *TINY, "checkpoint=hostile.pth"), "hostile.pth", "nothing in it was executed"
    )
    assert not Path("executed").exists()


def test_debug_shows_the_traceback(door):
    from stgcn_lightning.errors import BadInput

    with pytest.raises(BadInput, match="say where the annotations"):
        door("train", "benchmark=jhmdb14_split1", "debug=true")


def test_nearest_offers_all_names_where_none_is_near():
    assert nearest("bnoe", ["bone", "joint"]) == "did you mean bone?"
    assert nearest("zzz", ["bone", "joint"]) == "choose from bone, joint"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["data.on_bad_sample=eror"], ["data.on_bad_sample=eror is none of error, drop"]),
        (["benchmark.annotations=mine.pkl"], ["choose the benchmark that mine.pkl belongs to"]),
        (["seed=abc"], ["seed=abc must be a whole number"]),
        (["recipe.dropout=2"], ["recipe.dropout=2 must be a number of at most 1"]),
        (["benchmark.classes=null"], ["benchmark.classes=None is no number"]),
        (["benchmark.annotations=a=b.pkl"], ["quote the value"]),
        (["stream=null"], ["a group takes a name or a list of names"]),
        (["benchmark.train_split=null"], ["benchmark.train_split=null is no name: give one"]),
        (["benchmark.val_split=3"], ["benchmark.val_split=3 is no name"]),
        (["data.store_dir=null"], ["data.store_dir=null is no name"]),
        (["benchmark.synthetic=5"], ["benchmark.synthetic=5 is no table of sizes"]),
        (["benchmark.synthetic.train_samples=x"], ["train_samples=x must be a whole number"]),
        (["checkpoint=5"], ["checkpoint=5 is no path"]),
        (["resume=false"], ["resume=false is neither auto nor a checkpoint"]),
    ],
)
def test_more_wrong_input_of_train(door, arguments, parts):
    refused(door("train", *TINY, *arguments), *parts)


@pytest.mark.parametrize(
    "chosen",
    [
        ["experiment=quickstart", "benchmark=ntu60_xsub_2d", "benchmark.annotations=x.pkl"],
        ["benchmark=synthetic", "benchmark.annotations=x.pkl"],
    ],
)
def test_a_file_beside_made_up_data_is_refused_before_anything_is_said_of_these(door, chosen):
    result = door("train", *chosen, "trainer=cpu")
    refused(
        result, "benchmark.synthetic makes annotations, and x.pkl is given as well", "quickstart"
    )
    assert "made-up" not in result[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_named(door):
    refused(door("train", *TINY[1:], "trainer=gpu"), "trainer.accelerator=gpu", "finds no GPU")


def test_a_run_is_never_overwritten_nor_resumed_as_another(door):
    arguments = [*TINY, "recipe.epochs=1", "hydra.run.dir=run", "logger=[]"]
    assert door("train", *arguments)[0] == 0
    before = Path("run/checkpoints/best.ckpt").read_bytes()
    refused(door("train", *arguments), "run already holds checkpoints", "resume=auto")
    refused(door("train", *arguments, "resume=auto", "stream=bone"), "set stream=joint")
    refused(
        door("train", *arguments, "resume=auto", "model.base_channels=8"), "model.base_channels=4"
    )
    assert Path("run/checkpoints/best.ckpt").read_bytes() == before


def test_a_split_that_no_checkpoint_held_out_is_refused(door):
    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0
    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    refused(door("test", *TINY, checkpoint, "split=holdout"), "without holding subjects out")
    refused(door("test", *TINY, checkpoint, "split=vall"), "vall")
    refused(door("train", *TINY, "data.holdout_subjects=2"), "a share of them")
    status, _, err = door("test", *TINY, checkpoint, "split=train", "scores=train.npz")
    assert status == 0, err
    assert read_scores(Path("train.npz")).meta["split"] == "train"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seeds=[0,0]"], ["seeds=[0, 0]", "different whole numbers"]),
        (["seeds=3"], ["seeds=3 are no list"]),
        (["checkpoint=a.ckpt"], ["checkpoints='{joint: FILE, bone: FILE}'"]),
        (["checkpoints=a.ckpt"], ["checkpoints=a.ckpt is neither zoo nor a mapping"]),
        (
            ["checkpoints=zoo"],
            ["the zoo has no checkpoints for synthetic", "leave out checkpoints"],
        ),
        (["checkpoints={limb: a.ckpt}"], ["limb is none of the streams joint"]),
        (["checkpoints={joint: a.ckpt}"], ["no checkpoint a.ckpt"]),
        (["checkpoints={joint: a.ckpt}", "seeds=[0,1]"], ["leave out seeds"]),
        (["checkpoints={joint: [a.ckpt]}"], ["checkpoints.joint=['a.ckpt'] is no path: give one"]),
        (["checkpoints={joint: a.ckpt, bone: a.ckpt}"], ["has a.ckpt 2 times: give each stream"]),
        (["checkpoints={}"], ["neither zoo nor a mapping"]),
        (["debug=fast"], ["use it with train or test"]),
        (["benchmark=syntetic"], ["did you mean synthetic"]),
    ],
)
def test_wrong_input_of_reproduce_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("reproduce", *TINY, *arguments), *parts)


def test_scores_never_overwrite_a_checkpoint(door):
    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0
    checkpoint = Path("run/checkpoints/best.ckpt")
    before = checkpoint.read_bytes()
    for target in (checkpoint, "result.txt"):
        refused(
            door("test", *TINY, f"checkpoint={checkpoint}", f"scores={target}"), "must end in .npz"
        )
    assert checkpoint.read_bytes() == before


def test_scores_under_the_name_of_another_stream_are_refused(door):
    assert door("train", *TINY, "recipe.epochs=1", "test_after=true", "hydra.run.dir=run")[0] == 0
    refused(door("fuse", "streams={bone: run/scores.npz}"), "holds scores of the stream joint")


def test_a_published_checkpoint_of_another_stream_is_refused_before_it_is_downloaded(door):
    arguments = ["experiment=ntu60_xsub_2d_joint", "checkpoint=zoo:ntu60_xsub_2d_bone"]
    refused(door("test", *arguments), "stream bone in 2d", "set experiment=ntu60_xsub_2d_bone")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["format=onnx, onnx_continual, safetensors, mmaction2, pyskl"]),
        (["format=onxn"], ["did you mean onnx"]),
        (["fromat=onnx"], ["there is no key fromat: did you mean format"]),
        (["format=onnx", "checkpoint=absent.ckpt"], ["there is no file absent.ckpt"]),
    ],
)
def test_wrong_input_of_export_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("export", *arguments), *parts)
