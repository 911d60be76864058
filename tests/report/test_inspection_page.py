"""The page of an inspection: it escapes what files say, and holds for many classes."""

import re

import pytest
from test_in_a_browser import opened  # noqa: F401 - a fixture
from toy_report import HOSTILE, Page

from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.jobs.inspection.inspected import (
    Command,
    Estimate,
    Histogram,
    Inspected,
    Rows,
)
from stgcn_lightning.jobs.inspection.paging import page_of
from stgcn_lightning.report.bodies import drawn
from stgcn_lightning.report.inspection import render_inspection
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources.concepts import concepts

LOOK = """
<script>
const verdict = {problems, wide: document.documentElement.scrollWidth > innerWidth};
location = "http://127.0.0.1:PORT/?" + encodeURIComponent(JSON.stringify(verdict));
</script>
"""


def page(classes=5, **changes):
    body = skeleton_named("coco17")
    names = [f"class {i} of a long name that goes on" for i in range(classes)]
    names[0] = HOSTILE
    found = Inspected(
        **{
            "source": HOSTILE,
            "kind": "annotations",
            "why": HOSTILE,
            "facts": {HOSTILE: HOSTILE, "samples": 1234, "unknown": None},
            "faults": [f"sample {HOSTILE} is bad"],
            "findings": [Finding("nothing moves", repr(HOSTILE), "look")],
            "estimates": [Estimate("time", 7200.0, "seconds", "as measured")],
            "remarks": [HOSTILE],
            "tables": [Rows("splits", ("split", "top1"), [(HOSTILE, 0.5)])],
            "histograms": [Histogram("classes", "samples", names, [*range(classes)])],
            "commands": [Command("train", f"python {HOSTILE}")],
            "drawing": drawn(body, concepts(body.joints)),
        }
        | changes
    )
    return render_inspection(page_of(found))


def test_nothing_of_a_file_is_taken_for_markup():
    html = page()
    assert "<script>alert" not in html
    assert html.count("alert(") >= 8  # it is shown, as text


def test_the_page_loads_nothing_and_shows_everything():
    html = page()
    assert not re.search(r'(?:src|href)="(?!data:)', html)
    read = Page(html)
    rows = {row[0]: row[1:] for row in read.rows}
    assert rows["samples"] == ["1,234"]
    assert rows["time"] == ["about 2.0 hours", "as measured"]
    assert rows[HOSTILE][-1] in (HOSTILE, "50.00 %")
    assert "unknown" not in rows
    assert "cannot be used" in html


@pytest.mark.parametrize(("classes", "columns"), [(5, False), (60, True), (120, True)])
def test_every_class_has_a_bar_in_two_columns_where_there_are_many(classes, columns):
    html = page(classes)
    assert len(re.findall('<li title="class', html)) == classes - 1
    assert ('class="bars counts two"' in html) == columns


@pytest.mark.slow
def test_in_a_browser_the_page_of_an_inspection_is_never_wider_than_the_window(opened):  # noqa: F811
    for width in (500, 1400):
        verdict = opened(page(120), width=width, script=LOOK)
        assert verdict["problems"] == []
        assert not verdict["wide"]
