"""The pages, read as text."""

import time
from dataclasses import replace

import numpy as np
import pytest
from helpers import skeleton
from markupsafe import escape
from toy_report import ANSWERS, HOSTILE, LABELS, NAMES, TRAINED, Page, page_of_test

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import worst_errors
from stgcn_lightning.report.pages import Figure, render_training


def test_figures_of_the_page_are_those_done_by_hand():
    page = Page(page_of_test(LABELS, ANSWERS, NAMES))
    assert page.rows[:2] == [
        ["", "", "95 % interval (bootstrap)", "published", "difference", "source"],
        ["top-1", "50.00 %", "40.00 to 60.00", "51.00 %", "-1.00", "A paper"],
    ]
    assert page.items[:3] == [["sit", "75.0", "4"], ["stand", "50.0", "2"], ["wave", "0.0", "2"]]
    assert page.data["counts"] == [[0, 0, 3], [0, 1, 1], [1, 0, 1], [1, 1, 1], [2, 0, 2]]
    pairs = page.rows[2:6]
    assert pairs[0][0] == "true class"
    assert pairs[1:] == [
        ["wave", "sit", "2", "100.0", "0"],
        ["sit", "stand", "1", "25.0", "1"],
        ["stand", "sit", "1", "50.0", "1"],
    ]
    assert page.items[-2:] == [["1", "75.0", "4"], ["2", "25.0", "4"]]  # by persons
    assert page.data["names"] == NAMES
    assert ("option", {"value": "10"}) in page.tags


def test_the_matrix_is_drawn_cell_by_cell_and_its_rows_sum_to_one():
    html = page_of_test(LABELS, ANSWERS, NAMES)
    paths = [a for tag, a in Page(html).tags if tag == "path"]
    drawn = {(p["class"], p["opacity"]): p["d"].count("M") for p in paths}
    # shares 0.75 and 0.5 on the diagonal; 0.25, 0.5 and 1 beside it; roots, rounded up to 1/20
    assert drawn == {
        ("right", "0.75"): 1,
        ("right", "0.90"): 1,
        ("wrong", "0.50"): 1,
        ("wrong", "0.75"): 1,
        ("wrong", "1.00"): 1,
    }


def test_all_classes_are_named_where_they_occur_or_as_absent():
    names = [f"class number {i}" for i in range(120)]
    html = page_of_test(np.arange(119), np.arange(119), names)
    listed = [item[0] for item in Page(html).items]
    assert set(names[:119]) <= set(listed)
    assert "Classes without a sample: class number 119." in html
    assert "Every sample is right." in html


@pytest.mark.parametrize("text", [HOSTILE, "<!--<script>", "a & b \"c\" 'd'"])
def test_names_are_text_never_markup(text):
    plain, named = (
        page_of_test([0, 1, 1], [0, 1, 0], [name, "other"], title=name) for name in ("safe", text)
    )
    assert [tag for tag, _ in Page(named).tags] == [tag for tag, _ in Page(plain).tags]
    assert Page(named).data["names"][0] == text
    assert escape(text) in named
    assert "<script>alert" not in named


def test_ids_and_origin_are_text_never_markup():
    labels, answers = [0, 1], [1, 0]
    values = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
    ids = np.array([HOSTILE, "S1"])
    scores = Scores(ids, np.array(labels), values, np.array(["a", "b"]), {HOSTILE: [HOSTILE]})
    html = page_of_test(labels, answers, ["a", "b"], scores=scores)
    assert "<script>alert" not in html
    assert len(Page(html).scripts) == 2


def test_joints_and_figures_are_text_never_markup():
    body = skeleton("coco17")
    body = replace(body, joints=(HOSTILE, *body.joints[1:]))
    headline = [Figure(*[HOSTILE] * len(Figure._fields))]
    html = page_of_test(LABELS, ANSWERS, NAMES, skeleton=body, headline=headline)
    assert "<script>alert" not in html
    assert html.count(str(escape(HOSTILE))) > 10
    assert len(Page(html).scripts) == 2


def test_a_page_loads_nothing_from_elsewhere():
    for html in (page_of_test(LABELS, ANSWERS, NAMES), render_training(TRAINED)):
        assert "http://" not in html
        assert "https://" not in html
        assert "@import" not in html
        for tag, attributes in Page(html).tags:
            assert "src" not in attributes, tag
            assert attributes.get("href", "data:,") == "data:,"
        assert "default-src 'none'" in html


def test_the_training_page_names_best_and_last_epoch_and_draws_what_was_logged():
    html = render_training(TRAINED)
    page = Page(html)
    assert page.rows[:4] == [
        ["validation top-1, best epoch (1)", "70.00 %"],
        ["validation top-1, last epoch (2)", "60.00 %"],
        ["training loss, logged steps of the last epoch", "1.2222"],
        ["validation loss, last epoch", "1.2500"],
    ]
    assert page.rows[4:] == [["seed", "0"], [HOSTILE, HOSTILE]]
    assert [a["aria-label"] for tag, a in page.tags if tag == "svg"] == [
        "loss over epochs",
        "top-1 in % over epochs",
        "learning rate over epochs",
    ]
    speed = {"train/clips_per_second": (np.array([49, 99]), np.array([10.0, 20.0]))}
    with_speed = render_training(replace(TRAINED, metrics={**TRAINED.metrics, **speed}))
    assert "clips per second over epochs" in with_speed


def test_the_means_of_epochs_stand_before_the_steps():
    lines = [a for tag, a in Page(render_training(TRAINED)).tags if tag == "polyline"]
    steps, mean, val = lines[:3]
    assert steps["class"] == "faint"
    assert [len(line["points"].split()) for line in (steps, mean, val)] == [10, 2, 2]


def test_120_classes_and_50919_samples_take_seconds_and_megabytes():
    rng = np.random.default_rng(0)
    samples, classes = 50_919, 120
    values = rng.dirichlet(np.full(classes, 0.05), samples).astype(np.float32)
    scores = Scores(
        np.array([f"S{i:06d}" for i in range(samples)]),
        rng.integers(0, classes, samples),
        values,
        np.array([f"an action with the number {i}" for i in range(classes)]),
    )
    start = time.perf_counter()
    html = page_of_test(
        *([0, 1], [1, 0], ["a", "b"]),
        scores=scores,
        num_frames=rng.integers(30, 301, samples),
        num_persons=rng.integers(1, 3, samples),
        movies={row: rng.normal(size=(2, 300, 25, 3)) for row in worst_errors(scores)},
    )
    assert time.perf_counter() - start < 30
    assert len(html.encode()) < 10e6


def test_a_model_that_learns_no_edges_has_no_chart_of_them():
    assert "Learned importance" in page_of_test(LABELS, ANSWERS, NAMES)
    html = page_of_test(LABELS, ANSWERS, NAMES, edges=None)
    assert "Learned importance" not in html
    assert "Accuracy by length" in html


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_training_page_is_made_of_what_is_no_number(value):
    every = {
        name: (steps, np.full(len(steps), value)) for name, (steps, _) in TRAINED.metrics.items()
    }
    page = Page(render_training(replace(TRAINED, metrics=every)))
    assert not [tag for tag, _ in page.tags if tag == "polyline"]
    steps, losses = TRAINED.metrics["val/loss"]
    one = TRAINED.metrics | {"val/loss": (steps, np.array([value, losses[1]]))}
    assert "NaN" not in render_training(replace(TRAINED, metrics=one))
    without = {"train/loss": TRAINED.metrics["train/loss"]}
    assert Page(render_training(replace(TRAINED, metrics=without))).rows[0][0] == (
        "training loss, logged steps of the last epoch"
    )
