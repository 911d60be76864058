import io
import os
import pickle

import numpy as np
import pytest
import torch
from helpers import shared
from hostile import Calls, message, save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.files.dumps import read_test_dump, write_test_dump


@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 5)),
        elements=st.floats(0, 1, width=32),
    )
)
def test_a_written_test_dump_reads_back(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("dump") / "result.pkl"
    labels = np.arange(len(scores)) % scores.shape[1]
    write_test_dump(path, scores, labels)
    records = read_test_dump(path)
    np.testing.assert_array_equal([r["pred_score"] for r in records], scores)
    np.testing.assert_array_equal([r["gt_label"] for r in records], labels[:, None])
    np.testing.assert_array_equal([r["pred_label"] for r in records], scores.argmax(1)[:, None])
    assert [r["num_classes"] for r in records] == [scores.shape[1]] * len(scores)


def test_a_written_test_dump_is_small_and_torch_reads_it(tmp_path):
    write_test_dump(tmp_path / "x.pkl", np.eye(50), np.arange(50))
    assert (tmp_path / "x.pkl").stat().st_size < 50 * 1600  # every record its own scores only
    records = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert torch.equal(records[3]["pred_score"], torch.eye(50)[3])
    assert records[3]["pred_score"].dtype == torch.float32
    assert records[3]["gt_label"].tolist() == [3]


def test_against_mmaction2_test_dump():
    records = read_test_dump(shared("interop/mmaction2_test_dump.pkl"))
    assert len(records) == 12
    for record in records:
        assert record["pred_score"].shape == (4,)
        assert record["gt_label"].shape == (1,)
        assert record["pred_score"].sum() == pytest.approx(1, abs=1e-6)
        assert record["pred_label"] == record["pred_score"].argmax()


def test_a_dump_of_bfloat16_scores_is_read(tmp_path):
    path = save(tmp_path, pickle.dumps([{"pred_score": torch.ones(2).bfloat16()}], 2))
    assert read_test_dump(path)[0]["pred_score"].tolist() == [1, 1]


def test_a_hostile_storage_in_a_dump_executes_nothing(tmp_path):
    touched = tmp_path / "touched"
    inner = io.BytesIO()
    torch.save(Calls(os.system, f"touch {touched}"), inner, _use_new_zipfile_serialization=False)
    content = pickle.dumps([{"x": Calls(torch.storage._load_from_bytes, inner.getvalue())}], 2)
    assert "asks for posix.system" in message(read_test_dump, save(tmp_path, content))
    assert not touched.exists()
    pickle.loads(content)
    assert touched.exists()  # it would have


@pytest.mark.parametrize("inner", [{"x": 1}, torch.ones(2)])
def test_a_storage_in_a_dump_must_be_one(tmp_path, inner):
    buffer = io.BytesIO()
    torch.save(inner, buffer)
    content = pickle.dumps([Calls(torch.storage._load_from_bytes, buffer.getvalue())])
    assert "a storage that is none" in message(read_test_dump, save(tmp_path, content))
