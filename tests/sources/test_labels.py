"""What the user says about recordings of their own: folders, and tables."""

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.labels import entries_of_folder, entries_of_table


@pytest.fixture
def table(tmp_path):
    """Write a table beside the files a.npz, b/c.npz; returns its path."""
    (tmp_path / "b").mkdir()
    for name in ("a.npz", "b/c.npz"):
        (tmp_path / name).touch()

    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_folders_are_classes_in_the_order_of_their_names(tmp_path):
    for name in ("walk", "Jump up", ".git", "été"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    entries = entries_of_folder(tmp_path)
    assert [entry.label for entry in entries] == ["Jump up", "walk", "été"]
    assert {entry.split for entry in entries} == {None}


def test_folders_of_splits_hold_folders_of_classes(tmp_path):
    for name in ("Train/walk", "Train/run", "val/walk"):
        (tmp_path / name).mkdir(parents=True)
    entries = entries_of_folder(tmp_path)
    said = [(entry.split, entry.label) for entry in entries]
    assert said == [("Train", "run"), ("Train", "walk"), ("val", "walk")]


def test_a_folder_without_folders_is_refused(tmp_path):
    (tmp_path / "a.npz").touch()
    with pytest.raises(BadInput, match=r"has no folders in it: .* or name them in a table"):
        entries_of_folder(tmp_path)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_has_any_separator_and_case(table, mark, encoding):
    text = "Path,Action,Person,note\r\na.npz,hop,Ann,x\r\n\r\nb\\c.npz, hop ,Ben,\r\n"
    entries, unused = entries_of_table(table(text.replace(",", mark), encoding))
    assert [entry.path.name for entry in entries] == ["a.npz", "c.npz"]
    assert [entry.label for entry in entries] == ["hop", "hop"]
    assert [entry.subject for entry in entries] == ["Ann", "Ben"]
    assert entries[1].where.startswith("line 4 of ")
    assert unused == ["note"]


def test_a_value_may_hold_the_separator_in_quotes(table):
    (entry,), _ = entries_of_table(table('file,label\na.npz,"run, fast"\n'))
    assert entry.label == "run, fast"


def test_starts_and_ends_are_frames_or_seconds(table):
    (frames, rest), _ = entries_of_table(table("file,label,start,end\na.npz,x,3,9\na.npz,y,9,\n"))
    assert (frames.start, frames.end, frames.seconds) == (3, 9, False)
    assert (rest.start, rest.end) == (9, None)
    (seconds,), _ = entries_of_table(table("file,label,start_s,end_s\na.npz,x,0.5,1.25\n"))
    assert (seconds.start, seconds.end, seconds.seconds) == (0.5, 1.25, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: begin it with a line"),
        ("file,labl\na.npz,x\n", "has the columns file, labl and none called `label`: rename"),
        ("name,label\na.npz,x\n", "none called `file`"),
        ("file,label\n", "names no recording"),
        ("file,label\na.npz\n", "line 2 .* has 1 values for 2 columns"),
        ("file,label\na.npz,\n", "line 2 .* has no label"),
        ("file,label\nd.npz,x\n", "line 2 .* names d.npz, which is not there: write files"),
        ("file,label\na.mp4,x\n", "which is not there; there is a.npz"),
        ("file,label,start\na.npz,x,1.5\n", "has the start '1.5': give a frame"),
        ("file,label,start\na.npz,x,-1\n", "has the start '-1': give a frame"),
        ("file,label,end_s\na.npz,x,nan\n", "has the end 'nan': give seconds"),
        ("file,label,start,end\na.npz,x,5,5\n", "ends at 5 and starts at 5"),
        ("file,label,start,end_s\na.npz,x,5,5\n", "as frames and as seconds"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_its_line(table, text, said):
    with pytest.raises(BadInput, match=said):
        entries_of_table(table(text))


def test_a_table_in_another_encoding_is_refused(table):
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        entries_of_table(table("file,label\na.npz,été\n", "latin-1"))
