from hostile import message

from stgcn_lightning.files.reading import sha256


def test_sha256_of_known_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert "there is no file" in message(sha256, tmp_path / "y")
