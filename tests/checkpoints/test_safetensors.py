import sys

import pytest
import torch
from hostile import message

from stgcn_lightning.checkpoints.safetensors import read_safetensors, safetensors_bytes


def test_safetensors_come_back_with_their_card(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "n": torch.tensor(3)}
    card = {"classes": ["ä", "b"], "model": {"base_channels": 4}, "centre": None}
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(tensors, card))
    found, about = read_safetensors(tmp_path / "x.safetensors")
    assert about == card
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("keep", [1, 7, 60, -1])
def test_damaged_safetensors_are_refused_in_one_sentence(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"a": torch.ones(9)}, {})[:keep])
    assert f"{path} is damaged, or no safetensors file" in message(read_safetensors, path)


def test_safetensors_of_others_have_no_card_and_a_damaged_one_is_refused(tmp_path):
    import safetensors.torch

    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.ones(9)}, {"format": "pt"}))
    assert read_safetensors(path)[1] == {}
    path.write_bytes(safetensors.torch.save({"a": torch.ones(9)}, {"stgcn_lightning": "{not"}))
    assert f"{path} is damaged, or no safetensors file" in message(read_safetensors, path)


def test_a_missing_or_unreadable_safetensors_file_is_named(tmp_path, monkeypatch):
    assert "there is no file" in message(read_safetensors, tmp_path / "absent.safetensors")
    assert "Is a directory" in message(read_safetensors, tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "pip install 'stgcn_lightning[export]'" in message(read_safetensors, tmp_path / "x")
