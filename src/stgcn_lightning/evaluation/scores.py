"""Scores in files: what a test of one stream answered, sample by sample.

`scores.npz` holds no pickle: ids str (B,), labels int64 (B,), all -1 where there are none, scores
float32 (B, classes) after softmax, classes str (classes,), meta (JSON text: benchmark, split,
stream, test_clips, SHA-256 of the checkpoint, version of the package; `partial` if some samples of
the split were not tested).
"""

import json
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.foreign_scores import read_table, rows_of
from stgcn_lightning.files.dumps import read_test_dump, write_test_dump
from stgcn_lightning.files.kinds import NPZ, kind_of, refuse_other_kind
from stgcn_lightning.files.numpy_files import most_unpacked, opened_npz
from stgcn_lightning.files.writing import write_atomically

PARTS = ("ids", "labels", "scores", "classes")
LONGEST_META = 1 << 20  # letters


@dataclass(frozen=True)
class Scores:
    """Answers of one stream, or of a fusion.

    Attributes:
        ids: (B,) names of the samples; None if the file has none (MMAction2's dumps).
        labels: (B,) int64, the true classes; -1 throughout where they are not known.
        scores: (B, classes) float32, rows sum to 1.
        classes: (classes,) names of the classes.
        meta: where the scores come from: benchmark, split, stream, ...
    """

    ids: NDArray[np.str_] | None
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    classes: NDArray[np.str_]
    meta: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def answers(self) -> NDArray[np.int64]:
        """(B,) the class with the highest score."""
        return self.scores.argmax(1)

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known."""
        return bool((self.labels >= 0).all())

    @property
    def unnamed(self) -> bool:
        """Whether only the number of classes is known, so that they are called 0, 1, 2, ..."""
        return self.classes.tolist() == [str(i) for i in range(len(self.classes))]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(B,) whether the answer is the true class.

        Raises:
            BadInput: the true classes are not known.
        """
        if not self.labelled:
            raise BadInput("scores without labels have no accuracy: test samples that have labels")
        return self.answers == self.labels


def write_scores(path: str | Path, scores: Scores) -> None:
    """Write `scores.npz`, or MMAction2's test dump if the name ends in ``.pkl``.

    Args:
        path: the file; its folder is made if it is absent.
        scores: with ids, unless the file is a dump.

    Raises:
        BadInput: the scores have no ids, and the file is no dump.
    """
    path = Path(path)
    if scores.ids is None and path.suffix != ".pkl":
        raise BadInput(
            f"the scores for {path} have no ids: give them some, or write a dump, FILE.pkl"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pkl":
        write_test_dump(path, scores.scores, scores.labels)
        return
    with write_atomically(path) as file:
        np.savez(
            file,
            ids=cast("NDArray[np.str_]", scores.ids),
            labels=scores.labels,
            scores=scores.scores,
            classes=scores.classes,
            meta=np.array(json.dumps(scores.meta)),
        )


def holds_scores(path: Path) -> bool:
    """Whether a file that exists is empty or of what `write_scores` writes, so may be replaced."""
    try:
        if path.stat().st_size == 0:
            return True
        if path.suffix == ".pkl":
            return isinstance(read_test_dump(path), list) and read_table(path).labels is not None
        with zipfile.ZipFile(path) as archive:
            return {"ids.npy", "labels.npy", "scores.npy"} <= set(archive.namelist())
    except Exception:  # of a damaged file, zipfile lets more than BadZipFile through
        return False


class NoLabels(BadInput):
    """Scores that do not say the true classes, as a sentence; `lacks` is the middle of another.

    Where they are `numbered`, the numbers are the samples' names or places.
    """

    def __init__(self, path: Path, lacks: str, *, numbered: bool) -> None:
        super().__init__(
            f"{path} holds scores without {lacks}: fuse it beside a file of the same samples that "
            "has them, such as the scores.npz of the test door"
        )
        self.lacks, self.numbered = lacks, numbered


def read_scores(
    path: str | Path, *, apply_softmax: bool = False, beside: Scores | None = None
) -> Scores:
    """Read `scores.npz`, or the pickle of another project's test (see `foreign_scores`).

    The file is untrusted: no pickle in it is run.

    Args:
        path: the file.
        apply_softmax: the file holds logits; turn them into scores.
        beside: scores of the same samples, which say what a file without labels lacks: labels, and
            by their order the samples of a file without names; its own `scores` are not used.

    Returns:
        Scores of B samples, checked: rows sum to 1, labels are classes, no id occurs twice. A file
        without labels has the order of `beside`; one of labels without ids (MMAction2's) has none.

    Raises:
        NoLabels: the file has no labels, and `beside` is not given.
        BadInput: there is no such file, it is none of these, it contradicts itself or `beside`, or
            it holds logits and `apply_softmax` is false, or scores and it is true.

    Examples:
        >>> import tempfile
        >>> values = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
        >>> ids, classes = np.array(["first", "second"]), np.array(["sit", "fall"])
        >>> scores = Scores(ids, np.array([0, 1]), values, classes)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_scores(f"{folder}/scores.npz", scores)
        ...     read_scores(f"{folder}/scores.npz").hits.tolist()
        [True, False]
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"there is no score file {path}: write it with the test door, scores={path}")
    if path.suffix != ".npz" and kind_of(path) != NPZ:
        return _checked(path, _foreign(path, beside), apply_softmax)
    refuse_other_kind(path, "score files")
    most = most_unpacked(path)
    with opened_npz(path, "write one with the test door, scores=FILE.npz") as archive:
        meta: object = json.loads(str(archive.read("meta", 4 * LONGEST_META)))
        if not isinstance(meta, dict):
            raise ValueError("its meta is no table")
        ids, labels, values, classes = (archive.read(name, most) for name in PARTS)
    scores = Scores(ids, labels, values, classes, cast("dict[str, Any]", meta))
    return _checked(path, scores, apply_softmax)


def _foreign(path: Path, beside: Scores | None) -> Scores:
    """Scores of another project's test, completed by those of the same samples."""
    table = read_table(path)
    values, meta = table.values, {"source": str(path)}
    if table.labels is not None:
        names = np.array([str(i) for i in range(values.shape[1])])
        return Scores(table.ids, table.labels, values, names, meta)
    if beside is None:
        lacks = "labels" if table.named else "names and labels of samples"
        raise NoLabels(path, lacks, numbered=table.places is not None)
    classes = beside.classes
    if not len(classes):  # annotations do not name any
        classes = np.array([str(i) for i in range(values.shape[1])])
    rows = rows_of(path, table, beside.ids)
    if rows is not None:
        values = values[rows]
    if len(values) != len(beside.labels) or values.shape[1] != len(classes):
        raise BadInput(
            f"{path} holds {len(values)} samples of {values.shape[1]} classes, but what it is "
            f"fused with {len(beside.labels)} of {len(classes)}: give scores of one split"
        )
    return Scores(beside.ids, beside.labels, values, classes, meta)


def _checked(path: Path, scores: Scores, apply_softmax: bool) -> Scores:
    kinds = {
        "labels": scores.labels.ndim == 1 and scores.labels.dtype.kind in "iu",
        "scores": scores.scores.ndim == 2 and scores.scores.dtype.kind == "f",
        "classes": scores.classes.ndim == 1 and scores.classes.dtype.kind == "U",
        "ids": scores.ids is None or (scores.ids.ndim == 1 and scores.ids.dtype.kind == "U"),
    }
    for name, fits in kinds.items():
        if not fits:
            raise BadInput(f"{path} is no score file of this package: its {name} have another form")
    counts = {"labels": len(scores.labels), "scores": len(scores.scores)}
    if scores.ids is not None:
        counts["ids"] = len(scores.ids)
        names, times = np.unique(scores.ids, return_counts=True)
        if (times > 1).any():
            raise BadInput(f"{path} holds sample {names[times > 1][0]} more than once")
    if len(set(counts.values())) != 1 or scores.scores.ndim != 2 or not len(scores.labels):
        raise BadInput(f"{path} contradicts itself: it holds {counts}")
    if scores.scores.shape[1] != len(scores.classes):
        raise BadInput(
            f"{path} names {len(scores.classes)} classes but scores {scores.scores.shape[1]}"
        )
    known = (scores.labels >= 0) & (scores.labels < len(scores.classes))
    if not known.all() and not (scores.labels == -1).all():
        raise BadInput(
            f"{path} holds labels from {scores.labels.min()} to {scores.labels.max()}, outside its "
            f"{len(scores.classes)} classes"
        )
    refuse_not_finite(str(path), scores)
    softmaxed = (scores.scores >= 0).all() and np.allclose(
        scores.scores.sum(1, dtype=np.float64), 1, atol=1e-3
    )
    if apply_softmax and softmaxed:
        raise BadInput(
            f"{path} holds scores, not logits: name the streams of logits alone, "
            "apply_softmax=[NAME]"
        )
    if apply_softmax:
        return replace(scores, scores=_softmax(scores.scores))
    if not softmaxed:
        sums = scores.scores.sum(1, dtype=np.float64)
        if (scores.scores >= 0).all() and np.allclose(sums, sums[0], rtol=1e-3):
            raise BadInput(
                f"{path} holds rows that all sum to {sums[0]:.4g}, such as sums over clips or "
                "percentages: divide them by that, so that they sum to 1"
            )
        raise BadInput(
            f"{path} holds logits, rows that do not sum to 1: apply_softmax=true makes scores of "
            "them, apply_softmax=[NAME] of some streams"
        )
    return scores


def refuse_not_finite(named: str, scores: Scores) -> None:
    """Refuse scores that are no numbers; `named` is what a sentence calls their origin.

    Raises:
        BadInput: with the first such sample.
    """
    bad = np.flatnonzero(~np.isfinite(scores.scores).all(1))
    if len(bad):
        name = f"number {bad[0]}" if scores.ids is None else scores.ids[bad[0]]
        raise BadInput(
            f"{named} scores sample {name} with NaN or infinity, as "
            f"{len(bad):,} of {len(scores.scores):,}: make them again, in "
            "trainer.precision=32-true if they overflow"
        )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)
