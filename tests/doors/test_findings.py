"""What the doors say of data that may be wrong."""

from dataclasses import replace

import pytest

from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

OWN = ["skeleton=coco17", "benchmark.synthetic=null", "benchmark.annotations=a.pkl"]


@pytest.fixture
def scored(tmp_path):
    """Annotations whose scores are percentages."""
    made = synthetic_annotations("2d", 24, 12, max_frames=40)
    samples = [replace(sample, score=sample.score * 100) for sample in made.samples]
    write_annotations(tmp_path / "a.pkl", replace(made, samples=samples))


def test_prepare_explains_a_finding_each_time(door, scored):
    for _ in range(2):
        status, out, _ = door("prepare", *OWN)
        assert status == 0
        (line,) = [line for line in out.splitlines() if line.startswith("look at the data: ")]
        assert "of the scores are above 1 (e.g. 'S001" in line
        assert line.endswith("give a confidence between 0 and 1")


def test_prepare_finds_nothing_in_the_embedded_data(door):
    sizes = ["benchmark.synthetic.train_samples=24", "benchmark.synthetic.val_samples=12"]
    status, out, _ = door("prepare", *sizes)
    assert status == 0
    assert "look at the data" not in out


def test_other_doors_name_a_finding_in_one_line(door, scored):
    # refused as soon as the data were opened, which is soon enough here
    _, out, _ = door("train", *OWN, "model.base_channels=4", "resume=absent.ckpt")
    (line,) = [line for line in out.splitlines() if line.startswith("look at the data: ")]
    assert line.endswith("of the scores are above 1 (the prepare door gives examples and remedies)")
