"""MMAction2's test dumps (``--dump``), read without executing anything in them, and written."""

import io
import pickle
from typing import IO, Any

import numpy as np
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.tensors import TensorUnpickler, strided
from stgcn_lightning.files.unpickling import Built, load_pickle
from stgcn_lightning.files.writing import write_atomically


def read_test_dump(path: AnyPath) -> list[dict[str, Any]]:
    """Read what MMAction2's test wrote with ``--dump``: one dict per sample, in test order.

    Returns:
        The dicts as they are, tensors as numpy arrays: `pred_score` (classes,), `gt_label` (1,).

    Raises:
        BadInput: as `read_pickle`; also if the file is not a list of dicts.
    """
    with opened(path) as file:
        dump = load_pickle(_TestDumpUnpickler(file, path))
    if not isinstance(dump, list) or not all(isinstance(record, dict) for record in dump):
        raise BadInput(f"{path} is not a test dump of MMAction2, which is a list of dicts")
    return dump


def write_test_dump(path: AnyPath, scores: np.ndarray, labels: np.ndarray) -> None:
    """Write scores as MMAction2's test does with ``--dump``, for its own tools to read.

    Args:
        path: the pickle to write, atomically.
        scores: (B, classes) float, after softmax.
        labels: (B,) int.
    """
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


class _TestDumpUnpickler(TensorUnpickler):
    contents = "test dumps"

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file, path)
        self.admitted["torch.storage._load_from_bytes"] = self.storage

    def storage(self, content: bytes) -> Built:
        # Torch's own function of this name unpickles anything.
        storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise pickle.UnpicklingError("a storage that is none")
        return Built(torch.empty(0, dtype=storage.dtype).set_(storage))  # type: ignore[arg-type]

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, *_gradient: object
    ) -> Built:
        tensor = strided(storage.value, offset, sizes, strides)
        # numpy has no bfloat16
        return Built((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
