import csv
import os

import pytest

from stgcn_lightning.callbacks import metrics_file
from stgcn_lightning.callbacks.metrics_file import MetricsFile
from stgcn_lightning.errors import BadInput


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def logged(folder, *figures):
    logger = MetricsFile(folder, name="", version="")
    for step, one in enumerate(figures):
        logger.log_metrics(one, step)
        logger.save()
    return logger


def test_a_new_column_keeps_the_rows_before(tmp_path):
    logged(tmp_path, {"loss": 1.5}, {"loss": 1.25}, {"top1": 0.5}).finalize("success")
    assert rows(tmp_path) == [
        {"loss": "1.5", "step": "0", "top1": ""},
        {"loss": "1.25", "step": "1", "top1": ""},
        {"loss": "", "step": "2", "top1": "0.5"},
    ]


@pytest.mark.parametrize("figure", ["loss", "new"])
def test_a_file_that_cannot_grow_keeps_whole_rows_and_says_so(tmp_path, monkeypatch, figure):
    """As on a disk that fills up within a row, by the largest size that a file may have."""
    import resource

    logger = logged(tmp_path, {"loss": 1.5}, {"loss": 1.25})
    before = (tmp_path / "metrics.csv").read_bytes()
    logger.log_metrics({figure: 1 / 3}, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*metrics\.csv: File too large"):
            logger.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert os.listdir(tmp_path) == ["metrics.csv"]
    logger.finalize("failed")  # there is room again: the row is not lost
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert metrics_file._read(tmp_path / "absent") == []
