"""What tests of other projects write: read; and MMAction2's dump (``--dump``) written."""

import pickle

import numpy as np

from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.writing import write_atomically


def read_test_dump(path: AnyPath) -> object:
    """Read the pickle that a test of another project wrote, without executing anything in it.

    Returns:
        What was written, tensors as arrays: of MMAction2 a list of dicts with `pred_score`
        (classes,) and `gt_label` (1,), one per sample in test order; of PYSKL and MMAction2 0.x a
        list of arrays (classes,), in test order; of CTR-GCN, 2s-AGCN or MS-G3D a dict of id ->
        array (classes,).

    Raises:
        BadInput: as `read_pickle`.
    """
    return read_pickle(path, "score files")


def write_test_dump(path: AnyPath, scores: np.ndarray, labels: np.ndarray) -> None:
    """Write scores as MMAction2's test does with ``--dump``, for its own tools to read.

    Args:
        path: the pickle to write, atomically.
        scores: (B, classes) float, after softmax.
        labels: (B,) int.
    """
    import torch

    records = [
        {
            # `torch.tensor` copies: a view would pickle the whole table with every record.
            "pred_score": torch.tensor(score, dtype=torch.float32),  # classes
            "pred_label": torch.tensor([int(score.argmax())]),
            "gt_label": torch.tensor([int(label)]),
            "num_classes": len(score),
        }
        for score, label in zip(scores, labels, strict=True)
    ]
    with write_atomically(path) as file:
        pickle.dump(records, file, protocol=2)  # the protocol that MMEngine writes
