"""The pictures that the predict door writes, and where."""

import os
from pathlib import Path

import numpy as np
import pytest
from answering import embedded, write_checkpoint, write_recording

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def joint(tmp_path):
    return write_checkpoint(tmp_path / "joint.safetensors")


@pytest.fixture
def folder(tmp_path):
    """Three recordings, two of which would have one name as files."""
    for name, sample in zip(("a b", "sub/a_b", "sub/c"), embedded().values(), strict=False):
        write_recording(tmp_path / "folder" / f"{name}.npz", sample, frames=40)
    return tmp_path / "folder"


def test_every_recording_has_its_own_pictures_in_the_run_directory(door, joint, folder):
    status, _, err = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "window=20", "animate=true",
        "chart=true", "width=200", "hydra.run.dir=run",
    )  # fmt: skip
    assert status == 0, err
    written = sorted(name for name in os.listdir("run") if not name.startswith("."))
    assert written == ["a_b.gif", "a_b.svg", "sub_a_b.gif", "sub_a_b.svg", "sub_c.gif", "sub_c.svg"]
    with Image.open("run/sub_c.gif") as gif:
        assert gif.width == 200
        assert gif.n_frames == 20  # of 40 frames at 30 per second
    assert "<svg" in Path("run/a_b.svg").read_text()
    assert err.count("animation: run/") == 3


def test_hostile_names_leave_no_folder(door, joint, tmp_path):
    from dataclasses import replace

    from stgcn_lightning.sources.annotations import Annotations
    from stgcn_lightning.sources.mmaction2 import write_annotations

    sample = next(iter(embedded().values()))
    names = ["../../out", "/etc/x", "..", "手を振る", "a/b", "a b"]
    samples = [replace(sample, id=name) for name in names]
    write_annotations(tmp_path / "a.pkl", Annotations(samples, {}))
    status, _, err = door(
        "predict", f"checkpoint={joint}", "source=a.pkl", "window=50", "chart=true",
        "hydra.run.dir=run",
    )  # fmt: skip
    assert status == 0, err
    written = sorted(name for name in os.listdir("run") if not name.startswith("."))
    assert written == sorted(
        ["out.svg", "etc_x.svg", "recording.svg", "手を振る.svg", "a_b.svg", "a_b_2.svg"]
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio-ffmpeg's
def test_pictures_of_all_kinds_go_where_they_are_named(door, joint, folder):
    pytest.importorskip("imageio_ffmpeg")
    arguments = [f"checkpoint={joint}", f"source={folder / 'a b.npz'}", "window=20", "width=200"]
    status, _, err = door(
        "predict", *arguments, "animate=a.mp4", "chart=a.png", "theme=dark", "per_person=true"
    )
    assert status == 0, err
    assert Path("a.mp4").read_bytes()[4:8] == b"ftyp"
    with Image.open("a.png") as chart:
        assert chart.width == 400  # for fine screens
        corner = np.asarray(chart)[0, 0]
        assert corner.max() < 60
    before = Path("a.mp4").read_bytes()
    status, _, err = door("predict", *arguments, "animate=a.mp4")
    assert status == 2
    assert "animate=a.mp4 exists already" in err
    assert Path("a.mp4").read_bytes() == before


def test_one_file_for_several_recordings_is_refused(door, joint, folder):
    status, _, err = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "animate=a.gif", "width=200"
    )
    assert status == 2
    assert "animate=a.gif is one file, and there are several recordings: animate=true" in err


def test_names_without_letters_are_numbers_and_that_is_said(door, folder, tmp_path, monkeypatch):
    from stgcn_lightning.report import lettering

    monkeypatch.setattr(lettering, "SYSTEM_FONTS", ())
    names = [f"手{i}" for i in range(12)]
    joint = write_checkpoint(tmp_path / "other.safetensors", classes=names)
    status, out, err = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "animate=true", "width=200"
    )
    assert status == 0, err
    assert "手" in out
    assert err.count("no font here has the letters of 手0: pictures show the numbers of such") == 1


def test_a_missing_package_is_named_before_anything_is_answered(door, joint, folder, monkeypatch):
    monkeypatch.setattr("stgcn_lightning.jobs.prediction.picturing.find_spec", lambda _: None)
    status, out, err = door("predict", f"checkpoint={joint}", f"source={folder}", "animate=true")
    assert status == 2
    assert not out
    assert "pictures need pillow: pip install pillow" in err


def test_a_picture_that_cannot_be_written_costs_no_answer(door, joint, folder):
    status, out, err = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "window=20", "chart=one.svg",
        "format=jsonl",
    )  # fmt: skip
    assert status == 2
    assert len(out.splitlines()) == 3
    assert "chart=one.svg is one file, and there are several recordings" in err.splitlines()[-1]
    status, out, _ = door(
        "predict", f"checkpoint={joint}", f"source={folder}", "window=20", "chart=one.svg"
    )
    assert (status, out) == (2, "")  # one.svg is there: said before anything is answered


def test_a_film_of_odd_width_is_written_as_wide_as_it_can_be(door, joint, folder):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    source = f"source={folder / 'a b.npz'}"
    arguments = [f"checkpoint={joint}", source, "animate=a.mp4", "width=201"]
    status, _, err = door("predict", *arguments)
    assert status == 0, err
    assert "WARNING" not in err
    reader = ffmpeg.read_frames("a.mp4")
    assert next(reader)["size"][0] == 200
    reader.close()


def test_a_chart_of_pixels_writes_numbers_for_letters_that_no_font_has(door, tmp_path, folder):
    from stgcn_lightning.report.timeline_picture import picture_of

    written = []

    def kept(chart, *others):
        written.extend(row.name for row in chart.strips)
        return picture_of(chart, *others)

    names = [f"\uf8ff{number}" for number in range(12)]
    joint = write_checkpoint(tmp_path / "private.safetensors", classes=names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stgcn_lightning.report.timeline_picture.picture_of", kept)
        status, _, err = door(
            "predict", f"checkpoint={joint}", f"source={folder / 'a b.npz'}", "window=20",
            "chart=a.png",
        )  # fmt: skip
    assert status == 0, err
    assert written
    assert all(name.startswith("class ") or name == "others" for name in written)
