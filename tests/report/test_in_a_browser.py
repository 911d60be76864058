"""The page in a real browser, if there is one."""

import json
import shutil
import subprocess
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from helpers import skeleton
from toy_report import ANSWERS, HOSTILE, LABELS, NAMES, page_of_test

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
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

    def use(html, width=1280, script=LAST):
        with HTTPServer(("127.0.0.1", 0), Verdict) as server:
            server.timeout, server.verdict = 40, None
            last = script.replace("PORT", str(server.server_port))
            path = tmp_path / "page.html"
            path.write_text(html.replace("<body>", "<body>" + FIRST).replace("</body>", last))
            command = [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"),
                *(f"--window-size={width},4000", "--remote-debugging-port=0", path.as_uri()),
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


@pytest.mark.slow
def test_in_a_narrow_browser_long_names_make_tables_scroll_and_not_the_page(opened):
    name = "carry_something_heavy_with_another_person_" * 3
    body = skeleton("coco17")
    long = replace(body, joints=tuple(f"{joint}_of_the_person_in_front" for joint in body.joints))
    names = [name, *NAMES[1:3], f"never_{name}"]
    movies = np.random.default_rng(0).normal(size=(2, 2, 40, 17, 2)).cumsum(2)
    html = page_of_test(LABELS, ANSWERS, names, movies={3: movies[0], 5: movies[1]}, skeleton=long)
    verdict = opened(html, width=500)
    assert verdict["problems"] == []
    assert not verdict["wide"]
