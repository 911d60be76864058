"""docs/own_data.md, followed word for word: from a folder of key points to an answer."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from helpers import CHECKOUT

PAGE = (CHECKOUT / "docs" / "own_data.md").read_text()
MOST = 4  # commands


def blocks(heading):
    """The commands of each bash block below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [block.strip().splitlines() for block in re.findall(r"```bash\n(.*?)```", section, re.S)]


def follow(line, folder):
    """Run a line of the page as a shell does, in a folder beside which scripts/ is."""
    command = [part.replace("scripts/", f"{CHECKOUT}/scripts/") for part in shlex.split(line)]
    assert command[0] == "python"
    env = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    run = subprocess.run(
        [sys.executable, *command[1:]], cwd=folder, env=env, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "picture", "chart"),
    [
        ("A folder of MediaPipe tables", "unseen.gif", "long.svg"),
        ("A folder of OpenPose frames, two persons", "pair.gif", "pair.svg"),
    ],
)
def test_the_page_leads_from_a_folder_to_an_answer(tmp_path, heading, picture, chart):
    (generator,), commands = blocks(heading)
    assert len(commands) <= MOST
    assert all(line.startswith("python -m stgcn_lightning.") for line in commands)
    follow(generator, tmp_path)
    prepare, train, predict, timeline = commands
    said = follow(prepare, tmp_path)
    assert train.startswith(re.findall("next: (.+)", said)[0])
    follow(train, tmp_path)
    answer = follow(predict, tmp_path)
    assert re.search(r"unseen_open_arms: open_arms \d", answer), answer
    assert (tmp_path / picture).read_bytes().startswith(b"GIF8")
    follow(timeline, tmp_path)
    assert "<svg" in (tmp_path / chart).read_text()
