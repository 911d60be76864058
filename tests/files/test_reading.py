from hostile import message

from stgcn_lightning.files.reading import bytes_of, sha256, size_below


def test_sha256_of_known_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert "there is no file" in message(sha256, tmp_path / "y")


def test_a_file_of_too_many_bytes_is_refused_with_its_remedy(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"12345")
    assert bytes_of(tmp_path / "a.txt", 5, "divide it") == b"12345"
    too_many = message(lambda path: bytes_of(path, 4, "divide it"), tmp_path / "a.txt")
    assert "a.txt has more than 4 bytes; divide it" in too_many


def test_the_files_of_a_folder_are_counted_in_bytes(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one.json").write_bytes(b"12345")
    (tmp_path / "a/b/two.json").write_bytes(b"123")
    (tmp_path / "a/gone.json").symlink_to(tmp_path / "nowhere")
    assert size_below(tmp_path / "a") == 8
    assert size_below(tmp_path / "a/one.json") == 5
