import pytest
import yaml
from helpers import CHECKOUT

from stgcn_lightning.data.names import FOUR_STREAMS
from stgcn_lightning.evaluation.published import TABLE, published_top1


def test_xsub_figures_are_mmaction2s_and_the_others_pyskls():
    assert published_top1("stgcn", "ntu60_xsub_2d", "bone") == (91.69, "MMAction2", 60)
    assert published_top1("stgcn", "ntu120_xset_3d", "four_stream") == (88.4, "PYSKL", 120)


def test_stgcnpp_has_figures_of_all_benchmarks_from_both():
    assert published_top1("stgcnpp", "ntu60_xsub_3d", "two_stream") == (91.39, "MMAction2", 60)
    assert published_top1("stgcnpp", "ntu60_xview_2d", "joint") == (97.4, "PYSKL", 60)
    assert published_top1("stgcnpp", "ntu120_xsub_2d", "bone_motion") == (81.1, "PYSKL", 120)


@pytest.mark.parametrize("model", ["stgcn", "stgcnpp"])
def test_every_benchmark_has_a_figure_for_each_stream_and_fusion(model):
    table = yaml.safe_load(TABLE.read_text("utf-8"))
    names = {file.stem for file in (CHECKOUT / "conf" / "benchmark").glob("ntu*.yaml")}
    assert set(table[model]) == names
    for benchmark, row in table[model].items():
        assert set(row) == {"classes", "source", *FOUR_STREAMS, "two_stream", "four_stream"}
        assert row["classes"] == (60 if benchmark.startswith("ntu60") else 120)


def test_what_nobody_published_has_no_figure():
    assert published_top1("stgcn", "jhmdb14_split1", "bone") is None
    assert published_top1("other", "ntu60_xsub_2d", "bone") is None
