"""Weights in Hugging Face's safetensors format, which holds no code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.kinds import SAFETENSORS, kind_of, refuse_other_kind
from stgcn_lightning.files.reading import opened
from stgcn_lightning.files.unpickling import said_by

CARD = "stgcn_lightning"  # where the metadata of a file hold our card


def is_safetensors(path: str | Path) -> bool:
    """Whether a file is of this format, by its name or its first bytes."""
    return Path(path).suffix == ".safetensors" or kind_of(path) == SAFETENSORS


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file.

    Returns:
        The tensors by name, and the card; a file that is not ours has an empty one.

    Raises:
        BadInput: the package safetensors is missing, there is no such file, or it is damaged.
    """
    try:
        import safetensors
    except ImportError:
        raise BadInput(
            f"reading {path} needs safetensors: pip install 'stgcn_lightning[export]'"
        ) from None
    refuse_other_kind(path, "checkpoints")
    try:
        with safetensors.safe_open(path, "pt") as file:  # which looks at the places of tensors
            _read_names(path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = (file.metadata() or {}).get(CARD, "{}")
            card = json.loads(text, object_pairs_hook=_once)
    except Exception as error:  # of its own kinds, and of the text that is the card any
        raise BadInput(
            f"{path} is damaged, or no safetensors file ({said_by(error)}): copy it again"
        ) from None
    return tensors, card


def _read_names(path: str | Path) -> None:
    """Refuse a header with a name twice: one program would read the first, another the last.

    Raises:
        ValueError: it has one.
    """
    with opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        json.loads(file.read(length), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def safetensors_bytes(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> bytes:
    """A safetensors file; the card, plain values, is its metadata, as JSON.

    The card is one text, since the package writes several in an order that changes from run to run.
    """
    import safetensors.torch

    tensors = {name: value.contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(tensors, {CARD: json.dumps(card)})
