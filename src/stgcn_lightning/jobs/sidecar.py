"""The sidecar of an exported model: how to prepare its input and read its output."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stgcn_lightning.checkpoints.card import admitted
from stgcn_lightning.checkpoints.onnx import INPUT, OUTPUT
from stgcn_lightning.checkpoints.onnx_continual import AGE, FRAME, state_names
from stgcn_lightning.engine.continual_step import ContinualStep
from stgcn_lightning.files.reading import sha256

AXES = ["N clips", "M persons", "T frames", "V joints", "C channels"]
CHANNELS = {"2d": ["x", "y", "score"], "3d": ["x", "y", "z"]}
CENTRED = (
    "frames without the first person are dropped; the first person's joint normalise.centre in the "
    "first frame goes to the origin"
)
NORMALISE = {
    "2d": "(x - w/2) / (w/2) and (y - h/2) / (h/2), picture of w x h pixels; the score as it is",
    "3d": f"{CENTRED}; then the line between the joints normalise.body is turned to +z and after "
    "it the one between normalise.shoulders to +x",
    "3d_centred": CENTRED,
    "none": "the coordinates as they are",
}
K_PARENT = "k-parent (skeleton.k_bone_parents, or else the bone parent's bone parent)"
STREAM = {
    "joint": "the joints",
    "bone": "each joint minus its bone parent (skeleton.bone_parents)",
    "joint_motion": "the next frame minus this one, zero in the last frame",
    "bone_motion": "each joint minus its bone parent (skeleton.bone_parents), and of these the "
    "next frame minus this one, zero in the last frame",
    "k_bone": f"each joint minus its {K_PARENT}",
    "k_bone_motion": f"each joint minus its {K_PARENT}, and of these the next frame minus this "
    "one, zero in the last frame",
}
# What a continual step is given for joints that were not found, by data.missing; all joints are
# those of a person who is not seen in a frame and may come back.
NOT_FOUND = {
    "error": "joints that were not found are no input of this model",
    "zero": "joints that were not found: 0 for the coordinates",
    "interpolate": "joints that were not found: the coordinates at which they were found last, 0 "
    "if never",
}
STEP_CENTRED = "the joint normalise.centre of the person's first frame goes to the origin"
STEP_NORMALISE = {
    "3d": f"{STEP_CENTRED}; then what turns the line between the joints normalise.body of that "
    "frame to +z, and after it the one between normalise.shoulders to +x, is done to every frame",
    "3d_centred": STEP_CENTRED,
}
MEAN_SCORE = "; the score is the mean of the two"


def known_stream(name: str, dimension: str) -> str:
    """What makes one of our streams, in words."""
    scored = name != "joint" and dimension == "2d"
    return STREAM[name] + (MEAN_SCORE if scored else "")


def card_beside(checkpoint: Path) -> dict[str, Any]:
    """The card in the sidecar of an exported file; empty if there is none beside it.

    Raises:
        BadInput: it holds what no card may.
    """
    path = checkpoint.with_suffix(".json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and isinstance(found.get("skeleton"), dict)
    return admitted(found, path) if ours and found.get("file") == checkpoint.name else {}


def describe(
    name: str, out: Path, checkpoint: Path, card: dict[str, Any], stream: str
) -> dict[str, Any]:
    """The sidecar: everything that preparing inputs and reading outputs takes.

    Args:
        name: of the format.
        out: file of the model.
        checkpoint: file that it was made of.
        card: of the checkpoint.
        stream: what makes its stream, in words.
    """
    V = len(card["skeleton"]["joints"])
    return {
        "format": name,
        "file": out.name,
        **card,
        "version": version("stgcn_lightning"),
        "input": {
            "name": INPUT,
            "type": "float32",
            "axes": AXES,
            "shape": ["N", card["persons"], card["clip_frames"], V, 3],
            "channels": CHANNELS[card["dimension"]],
            "absent_person": "all zero",
        },
        "prepare": {
            "1 normalise": NORMALISE[card["normalise"]],
            "2 stream": stream,
            "3 sample": f"{card['test_clips']} clips of {card['clip_frames']} frames, each frame "
            "from another of as many equal parts of the sequence; a shorter one is repeated; as "
            f"data.test_sampling={card['test_sampling']}",
        },
        "output": {
            "name": OUTPUT,
            "axes": ["N clips", "classes"],
            "scores": "softmax, averaged over clips",
        },
        "checkpoint": {"file": checkpoint.name, "sha256": sha256(checkpoint)},
    }


def filling(missing: str, dimension: str) -> str:
    """What a continual step is given for what was not found in a frame, in words."""
    if dimension == "3d":
        return f"{NOT_FOUND[missing]}; a person who is not seen in a frame: the last frame again"
    score = "" if missing == "error" else ", and 0 for the score"
    return (
        f"{NOT_FOUND[missing]}{score}; a person who is not seen in a frame: 0 for everything; all "
        "this before 1. Key points without scores: 1 for the score of what was found"
    )


def step_stream(name: str, dimension: str) -> str:
    """What makes one of our streams frame by frame, in words; another by its name."""
    if name not in STREAM:
        return name
    text = known_stream(name, dimension)
    if not name.endswith("motion"):
        return text
    text = text.replace(", zero in the last frame", "")
    return (
        f"{text}. So nothing is given with a person's first frame, and with each later one "
        "the motion from the frame before; age counts what was given"
    )


def describe_step(step: ContinualStep, card: dict[str, Any]) -> dict[str, Any]:
    """What the sidecar of a continual step says otherwise than that of a network of clips."""
    before, after = state_names(step)
    V = len(card["skeleton"]["joints"])
    return {
        "input": {
            "name": FRAME,
            "type": "float32",
            "axes": ["R persons", "V joints", "C channels"],
            "shape": ["R", V, 3],
            "channels": CHANNELS[card["dimension"]],
            "absent_person": "who is gone for good: leave the row, and those of its state, out; "
            "who is not seen in a frame: see prepare",
        },
        "state": {
            "inputs": before,
            "outputs": after,
            "shapes": [["R", *part.shape[1:]] for part in step.initial(1)],
            "type": "float32",
            "first": "zeros for a new person; then what the step before returned",
            "age": f"{AGE}, int64 (R,): frames of each person before this one, from 0",
        },
        "warm_up": f"logits mean nothing while age is below {step.delay}, and are of "
        f"fewer features while it is below {step.delay + step.window - 1}",
        "delay": f"{step.delay} frames from a frame to its feature, one more for a motion; logits "
        f"are of the mean of the last {step.window} features",
        "prepare": {
            "0 not found": filling(card["missing"], card["dimension"]),
            "1 normalise": STEP_NORMALISE.get(card["normalise"], NORMALISE[card["normalise"]]),
            "2 stream": step_stream(card["stream"], card["dimension"]),
        },
        "output": {
            "name": OUTPUT,
            "axes": ["R persons", "classes"],
            "scores": "softmax",
        },
    }
