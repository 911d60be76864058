from stgcn_lightning.evaluation.published import published_top1


def test_xsub_figures_are_mmaction2s_and_the_others_pyskls():
    assert published_top1("stgcn", "ntu60_xsub_2d", "bone") == (91.69, "MMAction2", 60)
    assert published_top1("stgcn", "ntu120_xset_3d", "four_stream") == (88.4, "PYSKL", 120)


def test_what_nobody_published_has_no_figure():
    assert published_top1("stgcn", "jhmdb14_split1", "bone") is None
    assert published_top1("other", "ntu60_xsub_2d", "bone") is None
