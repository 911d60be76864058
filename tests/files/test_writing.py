import errno
import os

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import explaining_where, write_atomically


def test_write_atomically_shows_the_file_only_when_complete(tmp_path):
    path = tmp_path / "out"
    with write_atomically(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def write():
        with write_atomically(path) as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("when", ["write", "fsync"])
def test_a_full_disk_names_the_folder_and_the_remedy(tmp_path, monkeypatch, code, when):
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(code, os.strerror(code))

    def write():
        with write_atomically(path):
            if when == "write":
                full()
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(
        BadInput, match=f"no space left in {tmp_path} .* choose a folder on another"
    ):
        write()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "absent" / "out", tmp_path / "file" / "out", tmp_path):
        with pytest.raises(BadInput, match=f"cannot write {path}: "), write_atomically(path):
            pass
    assert os.listdir(tmp_path) == ["file"]


def test_other_errors_of_the_block_pass_through(tmp_path):
    def write():
        with write_atomically(tmp_path / "out"):
            (tmp_path / "absent").read_bytes()

    with pytest.raises(FileNotFoundError):
        write()


@pytest.mark.parametrize("code", [errno.EFBIG, errno.ENOLCK, errno.ENOENT, errno.EPERM])
def test_a_folder_that_cannot_take_a_store_is_named_with_the_remedy(tmp_path, code):
    with (
        pytest.raises(BadInput, match=f"under {tmp_path}: .*set data.store_dir to another folder"),
        explaining_where(tmp_path),
    ):
        raise OSError(code, os.strerror(code))
