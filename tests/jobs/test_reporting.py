from types import SimpleNamespace

import numpy as np
import pytest
from helpers import skeleton

from stgcn_lightning.jobs.reporting import bodies, costing_nothing, pose
from stgcn_lightning.jobs.run_files import logged
from stgcn_lightning.sources.annotations import Sample


def sample_2d(keypoint, score):
    return Sample("", 0, keypoint, score, (480, 640))


def test_bodies_are_the_stored_frames_without_what_was_not_seen(make_store):
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(1, 400, (2, 4, 17, 2)).astype(np.float32)
    score = np.ones((2, 4, 17), np.float32)
    keypoint[1, 2:] = 0  # the second person leaves
    score[0, 1, 5] = 0  # a joint is not found
    body = skeleton("coco17")
    store = make_store([sample_2d(keypoint, score)] * 2, body, "2d")
    frames = bodies(store, body, 1, 2, turned=False)
    expected = keypoint / (320, 240) - 1
    expected[1, 2:] = expected[0, 1, 5] = np.nan
    np.testing.assert_allclose(frames, expected, atol=1e-6)
    np.testing.assert_array_equal(bodies(store, body, 1, 1, turned=False), frames[:1])


@pytest.mark.parametrize("turned", [True, False], ids=["turned", "as the camera sees it"])
def test_a_3d_body_stands_upright_on_the_page(make_store, turned):
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(0.1, 1, (1, 4, 25, 3)).astype(np.float32)
    body = skeleton("ntu25")
    store = make_store([Sample("", 0, keypoint, None, (1080, 1920))], body, "3d", normalise="none")
    standing = pose(store, body, np.array([0]), turned=turned)
    up = 2 if turned else 1
    np.testing.assert_allclose(standing, -keypoint[0, 0][:, [0, up]])  # the page looks down
    moving = bodies(store, body, 0, 1, turned=turned)
    axes = [0, 1, 2] if turned else [0, 2, 1]  # a camera's z points away from it, ours to it
    signs = (1, 1, 1) if turned else (1, -1, 1)
    np.testing.assert_allclose(moving, keypoint[..., axes] * signs)


def test_a_3d_joint_in_the_origin_was_not_seen_unless_it_is_the_centre(make_store):
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(0.1, 1, (1, 4, 25, 3)).astype(np.float32)
    keypoint[0, 2, 7] = 0
    body = skeleton("ntu25")
    store = make_store([Sample("", 0, keypoint)], body, "3d")
    unseen = np.argwhere(np.isnan(bodies(store, body, 0, 1, turned=True)).all(-1))
    np.testing.assert_array_equal(unseen, [[0, 2, 7]])
    assert (store.frames[1][body.normalise.centre] == 0).all()  # seen, though in the origin


def test_the_log_is_read_by_metric(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,lr,step,train/loss,val/top1\n0,,4,3,\n0,,9,,0.25\n,0.1,14,,\n1,,14,2,\n1,,19,,0.5\n"
    )
    metrics = logged(tmp_path)
    assert {name: [s.tolist(), v.tolist()] for name, (s, v) in metrics.items()} == {
        "train/loss": [[4, 14], [3, 2]],
        "val/top1": [[9, 19], [0.25, 0.5]],
        "lr": [[14], [0.1]],
        "epoch": [[9, 19], [0, 1]],
    }


def test_torn_rows_of_the_log_are_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,train/loss,train/top1\n0,4,nan,\n0,,2,\n0,9,,0.5\n1,14,x,\n1,1"
    )
    metrics = logged(tmp_path)
    assert metrics["train/top1"][1].tolist() == [0.5]
    assert metrics["epoch"][0].tolist() == [9]  # though nothing was validated
    assert np.isnan(metrics["train/loss"][1]).tolist() == [True]


def test_a_page_that_fails_costs_nothing(capsys):
    built = SimpleNamespace(settings=SimpleNamespace(debug=False))
    with costing_nothing(built, "page.html"):
        raise ZeroDivisionError("float division by zero")
    assert "no page.html: ZeroDivisionError: float division by zero" in capsys.readouterr().out
    built.settings.debug = True
    with pytest.raises(ZeroDivisionError), costing_nothing(built, "page.html"):
        raise ZeroDivisionError
