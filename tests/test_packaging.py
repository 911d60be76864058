import fnmatch
import os
import re
import shlex
import subprocess
import sys

import pytest
from helpers import CHECKOUT

from stgcn_lightning.evaluation.published import experiments
from stgcn_lightning.launching.composing import composed

README = (CHECKOUT / "README.md").read_text()


def commands(page):
    found = re.findall(r"^python -m stgcn_lightning\.(?:.*\\\n)*.*$", page, re.M)
    return [command.split("#")[0].replace("\\\n", " ") for command in found]


def keys(command):
    return {word.split("=")[0] for word in shlex.split(command)[2:]}


OWN_DATA = commands((CHECKOUT / "docs" / "own_data.md").read_text())
OWN = [command for command in commands(README) if "demo" in command]  # of a page that is followed
COMMANDS = [command for command in commands(README) if command not in OWN]
COMMANDS += commands((CHECKOUT / "docs" / "commands.md").read_text())


@pytest.mark.slow
def test_the_wheel_works_alone_in_an_empty_folder(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, CHECKOUT]
    subprocess.run(wheel, check=True)
    (built,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", built], check=True)
    (tmp_path / "empty").mkdir()

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path / "empty",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    conf = run("-c", "from stgcn_lightning.shipped import CONF; print(CONF)").strip()
    assert conf == str(tmp_path / "site" / "stgcn_lightning" / "conf")
    launcher = "from hydra_plugins import stgcn_lightning; print(stgcn_lightning.__file__)"
    assert run("-c", launcher).startswith(str(tmp_path / "site" / "hydra_plugins"))
    out = run("-m", "stgcn_lightning.train", "experiment=quickstart", "debug=fast", "trainer=cpu")
    assert "epoch 1/1" in out


def test_readme_names_the_commands_of_this_project():
    assert len(COMMANDS) >= 6
    for target in re.findall(r"^make ([a-z]+)", README, re.M):
        assert f"\n{target}:" in (CHECKOUT / "Makefile").read_text()


def test_readme_s_own_data_is_that_of_the_page_which_is_followed():
    assert len(OWN) == 3
    for command in OWN:
        assert any(keys(command) <= keys(followed) for followed in OWN_DATA), command


def first_experiment(pattern: re.Match[str]) -> str:
    """The first name that a sweep's glob takes."""
    files = (file.stem for file in (CHECKOUT / "conf" / "experiment").glob("[!_]*.yaml"))
    return fnmatch.filter([*sorted(files), *experiments()], pattern[1])[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_command_composes(command):
    _, _, module, *overrides = shlex.split(command)
    door = module.removeprefix("stgcn_lightning.")
    if "-m" in overrides:  # the first job of the sweep
        overrides.remove("-m")
        overrides = [o.split(",")[0] if o.startswith("seed=") else o for o in overrides]
        overrides = [re.sub(r"glob\((.*)\)", first_experiment, o) for o in overrides]
    composed(door, *overrides)


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`((?:\w+\.)+\w+)(?:=[^`]*)?`", README))))
def test_readme_key_exists(key):
    if key.split(".")[0] in ("benchmark", "data", "recipe", "model", "trainer"):
        composed("train", f"{key}=null")
