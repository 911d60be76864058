"""Reports of made-up runs, and a reader of pages."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
from helpers import skeleton

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import worst_errors
from stgcn_lightning.graph import adjacency
from stgcn_lightning.report.pages import AfterTest, AfterTraining, Figure, render_test

HOSTILE = "</script><script>alert('name')</script>"


class Page(HTMLParser):
    """Texts by element, all tags with their attributes, and rows of tables."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows, self.scripts, self.items, self.stack = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.stack.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "li":
            self.items.append([])
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" in self.stack:
            self.scripts[-1] += data
        elif "li" in self.stack and data.strip():  # not the white space between its elements
            self.items[-1].append(data)
        elif {"th", "td"} & set(self.stack):
            self.rows[-1][-1] += data

    @property
    def data(self):
        return json.loads(self.scripts[0])


def page_of_test(labels, answers, names, **changes):
    """The page of made-up scores: each answer has a score of its own, the first the highest."""
    body = skeleton("coco17")
    graph = adjacency(body, "stgcn_spatial")
    top = np.linspace(0.9, 0.6, len(labels))
    values = np.repeat(((1 - top) / (len(names) - 1))[:, None], len(names), 1)
    values[np.arange(len(labels)), answers] = top
    ids = np.array([f"S{i}" for i in range(len(labels))])
    scores = Scores(ids, np.array(labels), values.astype(np.float32), np.array(names), {})
    rng = np.random.default_rng(0)
    tested = AfterTest(
        title="toy, bone stream",
        subtitle="tested",
        headline=[Figure("top-1", "50.00 %", "40.00 to 60.00", "51.00 %", "-1.00", "A paper")],
        scores=scores,
        num_frames=np.arange(10, 10 + len(labels)),
        num_persons=np.arange(len(labels)) % 2 + 1,
        skeleton=body,
        start=graph,
        edges=graph * rng.uniform(0.5, 1.5, (10, *graph.shape)),
        pose=rng.uniform(-1, 1, (17, 2)),
        movies={
            row: rng.normal(size=(2, 40, 17, 2)).cumsum(1) for row in worst_errors(scores, most=2)
        },
    )
    return render_test(replace(tested, **changes))


LABELS, ANSWERS = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 0, 0, 0]
NAMES = ["sit", "stand", "wave", "never"]
STEPS = np.arange(9, 100, 10)
TRAINED = AfterTraining(
    title="toy, joint stream",
    subtitle="training",
    settings={"seed": "0", HOSTILE: HOSTILE},
    metrics={
        "train/loss": (STEPS, np.linspace(2, 1, 10)),
        "val/loss": (np.array([49, 99]), np.array([1.5, 1.25])),
        "train/top1": (np.array([49, 99]), np.array([0.5, 0.75])),
        "val/top1": (np.array([49, 99]), np.array([0.7, 0.6])),
        "lr": (STEPS, np.linspace(0.1, 0, 10)),
    },
    steps_per_epoch=50,
)
