"""Names that turn round what stands beside them: shown as escapes in pages and pictures."""

import re
from dataclasses import replace

import numpy as np
import test_inspection_page
from toy_report import ANSWERS, LABELS, NAMES, TRAINED, Page, page_of_test

from stgcn_lightning.report.lettering import composed
from stgcn_lightning.report.pages import Figure, render_timeline, render_training
from stgcn_lightning.report.timeline import Course, timeline

# marks, embeddings, overrides and isolates of direction, and controls
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x07\x1b\x9b"
NAME = f"wave{TURNING}evil"
RAW = re.compile(f"[{TURNING}]")
SHOWN = "wave\\u061c\\u200e"


def test_a_page_of_a_test_holds_no_character_that_turns_text():
    names, figure = [NAME, *NAMES[1:]], Figure(*[NAME] * len(Figure._fields))
    html = page_of_test(LABELS, ANSWERS, names, title=NAME, headline=[figure])
    assert not RAW.search(html)
    assert html.count(SHOWN) > 10
    said = Page(html).data["names"]
    assert said[0].startswith(SHOWN)  # the script writes what it reads
    assert not any(RAW.search(one) for one in said)


def test_nor_does_a_page_of_a_training_or_of_a_file(monkeypatch):
    html = render_training(replace(TRAINED, title=NAME, settings={NAME: NAME}))
    assert not RAW.search(html)
    assert html.count(SHOWN) >= 4
    monkeypatch.setattr(test_inspection_page, "HOSTILE", NAME)
    html = test_inspection_page.page()
    assert not RAW.search(html)
    assert html.count(SHOWN) >= 8


def test_nor_does_a_picture():
    scores = np.array([[0.7, 0.3], [0.2, 0.8]])
    course = Course(NAME, np.array([0.0, 1.0, 2.0]), scores)
    svg = render_timeline(timeline(NAME, [course], [NAME, "sit"], unit="s", width=400))
    assert not RAW.search(svg)
    assert "wave" in svg
    assert not RAW.search(composed(NAME))
    assert composed("two\n lines") == "two lines"
