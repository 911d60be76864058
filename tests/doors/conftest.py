"""What the tests of the front doors share."""

import sys

import pytest
from helpers import body_at
from helpers import write_skeleton_file as write

from stgcn_lightning.launching.doors import open_door


@pytest.fixture
def door(monkeypatch, capsys, tmp_path):
    """Open a door in this process: (arguments) -> (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        status = 0
        try:
            open_door(name)
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def raw(tmp_path):
    """A folder of four .skeleton files of 3 frames, one of them listed as missing."""
    for name in (
        "S001C001P001R001A001",
        "S001C001P003R001A060",
        "S001C002P005R002A008",
        "S018C001P008R001A061",
    ):
        write(tmp_path / "raw", [{1: body_at(0), 2: body_at(2)}] * 3, name)
    return tmp_path / "raw"
