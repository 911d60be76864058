"""The pages, read as text, and opened in a real browser where there is one."""

import base64
import json
import shutil
import subprocess
import time
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from helpers import skeleton

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.graph import adjacency
from stgcn_lightning.report.charts import round_numbers, wilson
from stgcn_lightning.report.pages import (
    MOVIE_FRAMES,
    AfterTest,
    AfterTraining,
    Figure,
    confusion,
    edge_weights,
    movie_data,
    quantile_bins,
    render_test,
    render_training,
    typical_pose,
    worst_errors,
)

HOSTILE = "</script><script>alert('name')</script>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


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
        elif "li" in self.stack:
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
        adjacency=graph,
        edges=graph * rng.uniform(0.5, 1.5, (10, *graph.shape)),
        pose=rng.uniform(-1, 1, (17, 2)),
        movies={
            row: rng.normal(size=(2, 40, 17, 2)).cumsum(1) for row in worst_errors(scores, most=2)
        },
    )
    return render_test(replace(tested, **changes))


LABELS, ANSWERS = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 0, 0, 0]
NAMES = ["sit", "stand", "wave", "never"]


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


def test_worst_errors_are_wrong_and_the_most_confident_first():
    scores = Scores(
        None,
        np.array([0, 0, 0, 1]),
        np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], np.float32),
        np.array(["a", "b"]),
    )
    assert worst_errors(scores) == [2, 1]
    assert worst_errors(scores, most=1) == [2]
    np.testing.assert_array_equal(confusion(scores), [[1, 2], [0, 1]])


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


def test_a_page_loads_nothing_from_elsewhere():
    for html in (page_of_test(LABELS, ANSWERS, NAMES), render_training(TRAINED)):
        assert "http://" not in html
        assert "https://" not in html
        assert "@import" not in html
        for tag, attributes in Page(html).tags:
            assert "src" not in attributes, tag
            assert attributes.get("href", "data:,") == "data:,"
        assert "default-src 'none'" in html


def test_a_movie_comes_back_to_a_thousandth_and_marks_unseen_joints():
    frames = np.random.default_rng(0).normal(size=(2, 7, 17, 3))
    frames[1, 3:] = np.nan
    movie = movie_data(frames)
    assert movie["shape"] == (2, 7, 17, 3)
    integers = np.frombuffer(base64.b64decode(movie["points"]), "<i2").reshape(movie["shape"])
    assert (integers[1, 3:] == -32768).all()
    seen = integers[0].astype(float)
    scale = (frames[0, 0, 0] - frames[0, 1, 1])[0] / (seen[0, 0] - seen[1, 1])[0]
    np.testing.assert_allclose(
        (seen - seen[0, 0]) * scale, frames[0] - frames[0, 0, 0], atol=2e-3, rtol=1e-3
    )


def test_a_long_movie_shows_every_second_or_third_frame():
    frames = np.zeros((1, 2 * MOVIE_FRAMES + 1, 2, 2))
    movie = movie_data(frames)
    assert movie["every"] == 3
    assert movie["shape"][1] == 201


def test_a_sample_in_which_nobody_was_seen_is_still_a_movie():
    movie = movie_data(np.full((1, 3, 2, 2), np.nan))
    assert set(np.frombuffer(base64.b64decode(movie["points"]), "<i2")) == {-32768}


def test_edge_weights_are_the_mean_of_both_directions():
    edges = np.zeros((1, 3, 3, 3))
    edges[0, 1, 0, 1], edges[0, 2, 1, 0] = 0.5, -0.25
    np.testing.assert_allclose(edge_weights(edges, [(1, 0), (2, 1)]), [[0.375, 0]])


def test_quantile_bins_hold_equally_many_and_keep_equals_together():
    np.testing.assert_array_equal(quantile_bins(np.array([4, 1, 3, 2]), 2), [1, 0, 1, 0])
    np.testing.assert_array_equal(quantile_bins(np.array([5, 5, 5, 5, 9]), 2), [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(quantile_bins(np.full(4, 7), 6), 0)


def test_the_interval_of_wilson_is_the_one_in_textbooks():
    np.testing.assert_allclose(wilson(8, 10), (0.4902, 0.9433), atol=1e-4)
    low, high = wilson(5, 5)
    assert 0.5 < low < 0.6
    assert high == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.07, 2.34), (3, 3), (0, 0), (-1e-7, 4e-5)])
def test_ticks_are_few_even_and_enclose_the_values(low, high):
    ticks = round_numbers(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_the_typical_pose_is_the_common_one_and_has_all_its_joints():
    standing = np.array([[0, 0], [0, 1], [-0.4, 0.5], [0.4, 0.6]], float)
    folded = np.array([[0, 0], [0, 0.01], [0.01, 0], [0.01, 0.01]])
    unseen = standing.copy()
    unseen[2] = np.nan
    poses = np.stack([folded, unseen, 2 * standing + 7, standing + 0.01, standing * [3, 1]])
    assert typical_pose(poses) in (2, 3)
    assert typical_pose(np.stack([unseen, unseen])) == 0


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


def test_the_training_page_names_best_and_last_epoch_and_draws_what_was_logged():
    html = render_training(TRAINED)
    page = Page(html)
    assert page.rows[:4] == [
        ["validation top-1, best epoch (1)", "70.00 %"],
        ["validation top-1, last epoch (2)", "60.00 %"],
        ["training loss, last epoch", "1.2222"],  # the mean of its steps
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


FIRST = """
<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective));
const tell = console.error;
console.error = (...what) => { problems.push(what.join(" ")); tell(...what); };
</script>
"""
LAST = """
<script>
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const pictures = () => [...document.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL());
const differ = (before, after) => before.map((picture, i) => picture !== after[i]);
(async () => {
  const verdict = {};
  await wait(300);
  let before = pictures();
  verdict.drawn = before.every((picture) => picture.length > 2000);
  await wait(500);
  verdict.moving = differ(before, pictures());
  document.querySelector(".movies button").click();
  before = pictures();
  await wait(500);
  verdict.first_paused = differ(before, pictures());
  document.getElementById("all").click();
  before = pictures();
  await wait(500);
  verdict.all_paused = differ(before, pictures());
  document.querySelector("[data-sort=accuracy]").click();
  verdict.sorted = [...document.querySelectorAll("#classes .name")].map((e) => e.textContent);
  const cell = document.querySelector("#matrix .frame").getBoundingClientRect();
  const [x, y] = [cell.left + cell.width / 8, cell.top + cell.height * 5 / 8];
  document.getElementById("matrix")
    .dispatchEvent(new PointerEvent("pointermove", {clientX: x, clientY: y}));
  verdict.tip = document.getElementById("tip").textContent;
  const stage = document.getElementById("stage");
  stage.value = "3";
  stage.dispatchEvent(new Event("change"));
  verdict.stages = [...document.querySelectorAll(".body .stage")]
    .map((group, i) => [i, getComputedStyle(group).display])
    .filter(([, display]) => display !== "none").map(([i]) => i);
  verdict.wide = document.documentElement.scrollWidth > innerWidth;
  verdict.problems = problems;
  location = "http://127.0.0.1:PORT/?" + encodeURIComponent(JSON.stringify(verdict));
})();
</script>
"""


class Verdict(BaseHTTPRequestHandler):
    """Takes what the page says when it is done."""

    def do_GET(self):
        self.server.verdict = json.loads(unquote(urlsplit(self.path).query))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def opened(tmp_path):
    """A function from a page to what a real browser says of it after using it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)} is on the PATH")

    def use(html):
        with HTTPServer(("127.0.0.1", 0), Verdict) as server:
            server.timeout, server.verdict = 40, None
            last = LAST.replace("PORT", str(server.server_port))
            path = tmp_path / "page.html"
            path.write_text(html.replace("<body>", "<body>" + FIRST).replace("</body>", last))
            command = [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"),
                *("--window-size=1280,4000", "--remote-debugging-port=0", path.as_uri()),
            ]
            log = tmp_path / "browser.log"
            with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as run:
                server.handle_request()
                run.terminate()
            assert server.verdict, log.read_text()[-2000:]
            return server.verdict

    return use


@pytest.mark.slow
@pytest.mark.parametrize("axes", [2, 3])
def test_in_a_browser_the_page_draws_moves_stops_sorts_and_answers(opened, axes):
    movies = np.random.default_rng(0).normal(size=(2, 2, 40, 17, axes)).cumsum(2)
    names = [HOSTILE, *NAMES[1:]]
    html = page_of_test(LABELS, ANSWERS, names, movies={3: movies[0], 5: movies[1]})
    verdict = opened(html)
    assert verdict["problems"] == []
    assert verdict["drawn"]
    assert verdict["moving"] == [True, True]
    assert verdict["first_paused"] == [False, True]
    assert verdict["all_paused"] == [False, False]
    assert verdict["sorted"] == ["wave", "stand", HOSTILE]
    assert verdict["tip"] == f"wave → {HOSTILE}: 2 of 2 samples, 100.0 %"
    assert verdict["stages"] == [3]
    assert not verdict["wide"]  # nothing is cut off at the right
