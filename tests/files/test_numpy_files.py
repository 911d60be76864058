import io
import zipfile
from functools import partial

import numpy as np
import pytest
from hostile import message

from stgcn_lightning.files.numpy_files import mapped, npy_header, opened_npz

REMEDY = "write it again"
ARRAYS = {
    "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "text": np.array(["a", "bcd"]),
    "one": np.array("x"),
    "none": np.zeros((0, 4), np.int32),
    "big": np.arange(3, dtype=">i8"),
    "half": np.ones(2, np.float16),
    "truth": np.array([True, False]),
}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_of_numpy_are_read(tmp_path, write):
    write(tmp_path / "x.npz", **ARRAYS)
    with opened_npz(tmp_path / "x.npz", REMEDY) as archive:
        assert archive.names == [*ARRAYS]
        for name, array in ARRAYS.items():
            found = archive.read(name, 1000)
            np.testing.assert_array_equal(found, array, strict=True)
            assert found.flags.f_contiguous == array.flags.f_contiguous
            assert found.flags.writeable
            assert archive.header(name).shape == array.shape


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_an_npy_file_is_mapped(tmp_path, name, version):
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, ARRAYS[name], version)
    np.testing.assert_array_equal(mapped(tmp_path / "x.npy"), ARRAYS[name])
    assert npy_header(tmp_path / "x.npy").dtype == ARRAYS[name].dtype


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def head(descr: str = "'<f4'", shape: str = "(2,)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(head(), b"1234567"), "has not the length"),
        (npy(head(), b"123456789"), "has not the length"),
        (npy(head(shape="(99999999999,)")), "more than it can need"),
        (npy(head("'<U0'", "(99999999999,)")), "none of plain numbers or text"),
        (npy(head("'|V4'")), "none of plain numbers or text"),
        (npy(head("[('a', '<f4')]")), "none of plain numbers or text"),
        (npy(head("'|O'")), "holds Python objects"),
        (npy(head(shape="(-2,)")), "none of plain numbers or text"),
        (npy(head(shape="(" + "1, " * 70 + ")")), "of 70 axes"),
        (npy("(" * 9000), "none of plain numbers or text"),
        (npy(head() + " " * 20_000), "a header that is too long"),
        (b"\x93NUMPY\x09\x00", "without numpy's mark"),
        (b"", "without numpy's mark"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path, content, said):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    assert said in message(read_a, path)
    (tmp_path / "x.npy").write_bytes(content)
    if "length" not in said and "can need" not in said:
        with pytest.raises(ValueError, match="an array"):
            mapped(tmp_path / "x.npy")


def read_a(path, most=1000):
    with opened_npz(path, REMEDY) as archive:
        return archive.read("a", most)


def test_what_unpacks_to_more_than_is_allowed_is_not_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(10**7))
    assert path.stat().st_size < 100_000
    assert "more than it can need" in message(partial(read_a, most=10**6), path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_or_packed_otherwise_is_refused(tmp_path):
    path, content = tmp_path / "x.npz", io.BytesIO()
    np.save(content, np.zeros(2))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content.getvalue())
        archive.writestr("a.npy", content.getvalue())
    assert "an array twice" in message(read_a, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", content.getvalue())
    assert "packed in another way" in message(read_a, path)
    path.write_bytes(path.read_bytes()[:-30])
    assert f"{path} cannot be read as .npz" in message(read_a, path)
