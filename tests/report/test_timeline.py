import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.report.pages import render_timeline
from stgcn_lightning.report.timeline import (
    MOST_CLASSES,
    MOST_STEPS,
    OTHERS,
    Course,
    chosen,
    columns,
    cut,
    edges_of,
    grouped,
    timeline,
)

NAMES = [f"class_{i}" for i in range(120)]


def course(n, classes, name="", seed=0):
    scores = np.random.default_rng(seed).dirichlet(np.full(classes, 0.1), n)
    return Course(name, np.arange(n + 1.0), scores)


@given(n=st.integers(1, 40), classes=st.integers(1, 30), seed=st.integers(0, 99))
def test_rows_and_others_are_all_of_the_scores(n, classes, seed):
    scores = course(n, classes, seed=seed).scores
    kept, others = chosen(scores)
    assert len(set(kept)) == len(kept) <= MOST_CLASSES + 1
    total = scores[:, kept].sum(1) + (0 if others is None else others)
    np.testing.assert_allclose(total, 1)
    assert (others is None) == (len(kept) == classes)


def test_rows_stand_in_the_order_in_which_they_are_the_answer():
    scores = np.eye(12)[[7, 7, 3, 11, 3]]
    kept, _ = chosen(scores)
    assert kept == [7, 3, 11]  # the others are nothing


def test_a_class_that_is_nearly_nothing_has_no_row():
    kept, others = chosen(np.array([[0.9, 0.06, 0.03, 0.01]] * 3))
    assert kept == [0, 1]
    assert others is not None
    np.testing.assert_allclose(others, 0.04)


def test_areas_lie_between_their_windows_and_are_as_high_as_their_scores():
    scores = np.array([[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]])
    chart = timeline(
        "walk", [Course("", np.array([0.0, 2, 3, 4]), scores)], ["a", "b"],
        unit="seconds", width=600,
    )  # fmt: skip
    a, b = chart.strips
    assert [len(a.answered), len(a.beside), len(b.answered), len(b.beside)] == [2, 1, 1, 2]
    first = a.answered[0]
    assert first.left == pytest.approx(chart.left)
    assert first.right == pytest.approx((chart.left + chart.right) / 2)
    assert (a.base - first.top) / (a.base - a.top) == pytest.approx(0.75)
    assert b.answered[0].top == b.top
    assert [tick.number for tick in chart.ticks] == ["0", "1", "2", "3", "4"]


def test_windows_are_shown_from_halfway_to_halfway():
    assert edges_of([0], [7]).tolist() == [0, 7]
    assert edges_of([0, 10, 12], [20, 30, 32]).tolist() == [0, 15, 21, 32]


def test_many_windows_are_averaged_in_groups():
    many = course(5 * MOST_STEPS - 3, 4)
    few = grouped(many)
    assert len(few.scores) == MOST_STEPS
    assert len(few.edges) == MOST_STEPS + 1
    assert (few.edges[0], few.edges[-1]) == (many.edges[0], many.edges[-1])
    np.testing.assert_allclose(few.scores[0], many.scores[:5].mean(0))
    np.testing.assert_allclose(few.scores[-1], many.scores[-2:].mean(0))
    assert grouped(few) is few


@pytest.mark.parametrize("width", [200, 400, 1400])
@pytest.mark.parametrize("classes", [1, 5, 60, 120])
def test_everything_lies_within_the_picture(width, classes):
    courses = [course(50, classes, "person 1"), course(9, classes, "person 2", 1)]
    chart = timeline("a name", courses, NAMES, unit="seconds", width=width)
    assert len(chart.heads) == 2
    assert 0 < chart.left < chart.right < width
    lowest = max(row.base for row in chart.strips)
    assert lowest < chart.height
    for row in chart.strips:
        for area in [*row.answered, *row.beside]:
            assert chart.left - 1e-6 <= area.left <= area.right <= chart.right + 1e-6
            assert row.top - 1e-6 <= area.top <= row.base + 1e-6
    names = [row.name for row in chart.strips]
    assert names.count(OTHERS) == {1: 0, 5: 0}.get(classes, 2)


def test_names_are_cut_by_the_width_of_their_letters():
    assert columns("手a") == 3
    assert cut("short", 100) == "short"
    assert cut("a long name of a class", 60) == "a long…"
    assert columns(cut("手を振る" * 9, 60)) <= 8


def test_the_svg_is_xml_and_escapes_names():
    names = ['<script>alert("a")</script>', "手を振る", "b & c"]
    chart = timeline("<walk>", [course(5, 3)], names, unit="seconds", width=1400)
    text = render_timeline(chart)
    assert "<script" not in text
    root = ElementTree.fromstring(text)
    shown = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<walk>", *names} <= set(shown)
    assert "prefers-color-scheme: dark" in text
    numbers = re.findall(r"[\d.]+", root.attrib["viewBox"])
    assert numbers[2] == "1400"
