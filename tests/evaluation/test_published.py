import pytest
import yaml
from helpers import CHECKOUT, shared

from stgcn_lightning.data.names import FOUR_STREAMS
from stgcn_lightning.evaluation.published import (
    TABLE,
    published_figures,
    published_rows,
    published_top1,
    source_texts,
)
from stgcn_lightning.launching.composing import composed

BENCHMARKS = {file.stem for file in (CHECKOUT / "conf" / "benchmark").glob("ntu*.yaml")}
WITHOUT_2D = ("dgstgcn", "protogcn")


def test_xsub_figures_are_mmaction2s_and_the_others_pyskls():
    assert published_top1("stgcn", "ntu60_xsub_2d", "bone") == (91.69, "MMAction2", 60)
    assert published_top1("stgcn", "ntu120_xset_3d", "four_stream") == (88.4, "PYSKL", 120)


def test_stgcnpp_has_figures_of_all_benchmarks_from_both():
    assert published_top1("stgcnpp", "ntu60_xsub_3d", "two_stream") == (91.39, "MMAction2", 60)
    assert published_top1("stgcnpp", "ntu60_xview_2d", "joint") == (97.4, "PYSKL", 60)
    assert published_top1("stgcnpp", "ntu120_xsub_2d", "bone_motion") == (81.1, "PYSKL", 120)


def test_every_source_of_a_figure_is_given_the_one_to_compare_with_first():
    found = published_figures("stgcnpp", "ntu60_xsub_3d", "joint")
    assert [(one.source, one.top1) for one in found] == [
        ("MMAction2", 89.14),
        ("PYSKL", 89.3),
        ("PYSKL strong", 90.3),
    ]
    found = published_figures("ctrgcn", "ntu60_xsub_3d", "joint")
    assert [(one.source, one.top1) for one in found] == [("PYSKL", 89.6), ("MMAction2", 89.0)]
    assert published_top1("protogcn", "ntu120_xset_3d", "six_stream") == (92.16, "ProtoGCN", 120)


@pytest.mark.parametrize("model", published_rows())
def test_the_first_source_has_a_figure_for_each_stream_and_fusion(model):
    table = published_rows()[model]
    if model == "agcn":
        assert set(table) == {"ntu60_xsub_2d", "ntu60_xsub_3d"}
    else:
        assert set(table) >= {n for n in BENCHMARKS if not (model in WITHOUT_2D and "2d" in n)}
    for benchmark in table.keys() & BENCHMARKS:
        first = next(iter(table[benchmark].values()))
        if model == "protogcn":
            assert set(first) == {
                *("joint", "bone", "k_bone"),
                *("two_stream", "four_stream", "six_stream"),
            }
        else:
            assert set(first) == {*FOUR_STREAMS, "two_stream", "four_stream"}


def test_every_row_says_its_source_and_every_benchmark_its_classes():
    used = {src for rows in published_rows().values() for row in rows.values() for src in row}
    assert used == set(source_texts())
    classes = yaml.safe_load(TABLE.read_text("utf-8"))["classes"]
    for benchmark in {benchmark for rows in published_rows().values() for benchmark in rows}:
        assert classes[benchmark.split("_")[0]] == len(
            composed("train", f"benchmark={benchmark}").benchmark["classes"]
        )


def test_what_nobody_published_has_no_figure():
    assert published_top1("stgcn", "jhmdb14_split1", "bone") is None
    assert published_top1("other", "ntu60_xsub_2d", "bone") is None
    assert published_top1("protogcn", "ntu60_xsub_3d", "joint_motion") is None


def test_the_table_holds_every_published_row_of_ntu_and_no_other():
    facts = {
        name: yaml.safe_load(shared(f"facts/published_{name}.yaml").read_text())
        for name in ("mmaction2", "pyskl", "families")
    }
    expected = {}

    def put(model, benchmark, source, row):
        for run, value in row.items():
            if run not in ("benchmark", "setting"):
                top1 = value["top1"] if isinstance(value, dict) else value
                expected[model, benchmark, source, run] = top1

    for model, rows in facts["mmaction2"].items():
        for benchmark, row in rows.items():
            # MMAction2's 2s-AGCN is filed under the class that it is made of
            put("agcn" if model == "aagcn" else model, benchmark, "MMAction2", row)
    for benchmark, row in facts["families"].pop("ctrgcn_mmaction2").items():
        put("ctrgcn", benchmark, "MMAction2", row)
    for model, rows in (facts["pyskl"] | facts["families"]).items():
        for row in rows:
            practice = "strong" if model == "strong_aug" else row["setting"]
            source = {"pyskl": "PYSKL", "protogcn": "ProtoGCN"}.get(practice, f"PYSKL {practice}")
            put("stgcnpp" if model == "strong_aug" else model, row["benchmark"], source, row)
    # that the facts lack: MMAction2's projects/msg3d/README.md
    expected["msg3d", "ntu60_xsub_2d", "MMAction2", "joint"] = 92.3
    expected["msg3d", "ntu60_xsub_3d", "MMAction2", "joint"] = 89.6
    found = {
        (model, benchmark, source, run): top1
        for model, rows in published_rows().items()
        for benchmark, row in rows.items()
        if benchmark in BENCHMARKS
        for source, figures in row.items()
        for run, top1 in figures.items()
    }
    assert found == expected
