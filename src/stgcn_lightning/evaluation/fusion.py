"""Late fusion: the weighted mean of the streams' scores, and where the weights come from."""

from collections.abc import Collection, Mapping

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.matching import labelled_alike, matching_rows
from stgcn_lightning.evaluation.scores import Scores, refuse_not_finite

# Weights of the published fusions. Source: MMAction2's model zoo, PYSKL's README; of six streams,
# Liu et al., ProtoGCN, CVPR 2025.
PRESETS: dict[str, dict[str, float]] = {
    "two_stream": {"joint": 1, "bone": 1},
    "four_stream": {"joint": 2, "joint_motion": 1, "bone": 2, "bone_motion": 1},
    "six_stream": {
        "joint": 2,
        "bone": 2,
        "k_bone": 2,
        "joint_motion": 1,
        "bone_motion": 1,
        "k_bone_motion": 1,
    },
}


LEAST = 1e-9  # of a weight: what float32 scores of a stream with a smaller one add is rounded away


def refuse_weights(weights: Mapping[str, float], streams: Collection[str]) -> None:
    """Refuse weights that no mean can be made with.

    Raises:
        BadInput: they are not those of the streams, or not numbers that can be used.
    """
    if set(weights) != set(streams):
        raise BadInput(
            f"weights are given for {', '.join(weights)} but scores for "
            f"{', '.join(map(str, streams))}: give both for the same names"
        )
    usable = all(weight == 0 or LEAST <= weight <= 1 / LEAST for weight in weights.values())
    if not usable or not sum(weights.values()):
        raise BadInput(
            f"weights {dict(weights)} must be numbers from {LEAST:g} to {1 / LEAST:g}, or 0, not "
            "negative and not all zero"
        )


def fuse(streams: Mapping[str, Scores], weights: Mapping[str, float]) -> Scores:
    """Weighted mean of the streams' scores, joined by sample id.

    Args:
        streams: name -> scores. The first stream gives the order of the samples. A stream without
            ids (MMAction2's dumps) is joined by the order of its rows; one without labels gets
            those of the others.
        weights: name -> weight, from 1e-9 to 1e9 or 0, for the same names.

    Returns:
        Scores (B, classes) whose rows sum to 1.

    Raises:
        BadInput: the weights do not fit the streams, or two streams disagree in samples, labels,
            classes, benchmark or split.

    Examples:
        >>> labels, classes = np.array([0]), np.array(["sit", "stand"])
        >>> joint = Scores(None, labels, np.array([[1, 0]], np.float32), classes)
        >>> bone = Scores(None, labels, np.array([[0.5, 0.5]], np.float32), classes)
        >>> fuse({"joint": joint, "bone": bone}, {"joint": 3, "bone": 1}).scores.tolist()
        [[0.875, 0.125]]
    """
    refuse_weights(weights, streams)
    for name, scores in streams.items():
        refuse_not_finite(name, scores)
    streams = labelled_alike(streams)
    (first_name, first), *others = streams.items()
    total = weights[first_name] * first.scores.astype(np.float64)
    for name, other in others:
        rows = matching_rows(first_name, first, name, other)
        total += weights[name] * other.scores[rows]
    fused = (total / sum(weights.values())).astype(np.float32)
    origin = {name: scores.meta for name, scores in streams.items()}
    shared = {key: first.meta[key] for key in ("benchmark", "split") if key in first.meta}
    meta = {**shared, "stream": "fusion", "weights": dict(weights), "streams": origin}
    ids = next((scores.ids for scores in streams.values() if scores.ids is not None), None)
    classes = next((s.classes for s in streams.values() if not s.unnamed), first.classes)
    return Scores(ids, first.labels, fused, classes, meta)


def learned_weights(streams: Mapping[str, Scores]) -> dict[str, float]:
    """The weights, summing to 1, under which the fusion makes the labels most likely.

    Args:
        streams: name -> scores of samples that are in neither the training of the streams nor the
            evaluation of the fusion: a held-out part of the training samples.

    Raises:
        BadInput: two streams disagree in samples, labels, classes, benchmark or split, or have no
            labels.

    Source:
        Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
        JRSS B 1977: the proportions of a mixture whose components are fixed. The likelihood is
        concave in them, so there is one maximum.
    """
    (first_name, first), *_ = streams.items()
    if not first.labelled:
        raise BadInput(
            f"{first_name} has no labels to learn weights on: give scores of labelled samples"
        )
    rows = [matching_rows(first_name, first, name, scores) for name, scores in streams.items()]
    likelihood = np.stack(
        [
            scores.scores[order, first.labels].astype(np.float64)
            for scores, order in zip(streams.values(), rows, strict=True)
        ]
    ).clip(1e-12)  # streams, samples
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(10_000):
        joint = weights[:, None] * likelihood
        better = (joint / joint.sum(0)).mean(1)
        done = np.abs(better - weights).max() < 1e-7
        weights = better
        if done:
            break
    return {name: float(weight) for name, weight in zip(streams, weights, strict=True)}


def refuse_tuning_on(streams: Mapping[str, Scores], tuning: Mapping[str, Scores]) -> None:
    """Refuse to learn weights on samples that the streams were trained or are evaluated on.

    Args:
        streams: name -> scores of the samples that the fusion is evaluated on.
        tuning: name -> scores of the samples that the weights are learned on.

    Raises:
        BadInput: scores have no ids, are not marked as held out, come from another checkpoint than
            those of the stream, or share samples with the evaluation.
    """
    for name, scores in tuning.items():
        stream = streams[name]
        if scores.ids is None or not scores.meta.get("held_out"):
            raise BadInput(
                f"the tuning scores of {name} are not of held-out training samples: train with "
                "data.holdout_subjects=0.1 and write them with the test door, split=holdout"
            )
        if stream.ids is None:
            raise BadInput(f"{name} names no samples: learned weights need score files with ids")
        if scores.meta.get("checkpoint_sha256") != stream.meta.get("checkpoint_sha256"):
            raise BadInput(
                f"the tuning scores of {name} come from another checkpoint than its scores: test "
                "one checkpoint on both"
            )
        both = np.intersect1d(scores.ids, stream.ids)
        if len(both):
            raise BadInput(
                f"the tuning scores of {name} hold {len(both)} samples of the evaluation, "
                f"{both[0]} among them: weights are learned on others"
            )
