"""Hashes of what the tests run with: written, and compared with what is installed.

python scripts/supply/pins.py write > hashes.txt   # asks the index that pip is set up with
python scripts/supply/pins.py check

`make hashed` installs from that file alone, and pip refuses any file with another hash. The hashes
are of the files for Python 3.11 on Linux (x86_64), where CI runs.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
HASHES = CHECKOUT / "hashes.txt"
OURS = "stgcn-lightning"
TORCH = "torch"
HEAD = """\
# What `.[dev]` takes of constraints.txt, and what that takes, each with the SHA-256 of its file for Python 3.11 on Linux
# (x86_64): `make hashed` installs it. Written by `make pins`. torch is not among them: which build of it is right (CPU,
# CUDA, ROCm) depends on the machine, as does what it alone brings along."""  # noqa: E501


def main() -> None:
    """Write or check."""
    if sys.argv[1:] == ["write"]:
        print(HEAD, *hashed(resolved()), sep="\n")
    elif sys.argv[1:] == ["check"]:
        wrong = differences(pinned(HASHES.read_text()), list(distributions()))
        if wrong:
            sys.exit("installed, but not as hashes.txt says: " + "; ".join(wrong))
    else:
        sys.exit(__doc__)


def resolved() -> list[dict]:
    """What pip would install for the tests, with the hash of each file."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
            "--report", report.name, "-c", CHECKOUT / "constraints.txt", f"{CHECKOUT}[dev]",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        return json.load(report)["install"]


def name_of(text: str) -> str:
    """A package's name as all of its spellings are compared."""
    return canonicalize_name(text)


def hashed(installs: list[dict]) -> list[str]:
    """Lines of hashes.txt, without torch and what it alone brings along."""
    found = {name_of(one["metadata"]["name"]): one for one in installs}
    requires = {name: one["metadata"].get("requires_dist", []) for name, one in found.items()}
    extras = {OURS: {"dev"}}
    lines = []
    for name in sorted(reached(OURS, requires, extras, without=TORCH)):
        one = found[name]
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        lines.append(f"{name}=={one['metadata']['version']} --hash=sha256:{digest}")
    return lines


def reached(
    start: str, requires: dict[str, list[str]], extras: dict[str, set[str]], without: str = ""
) -> set[str]:
    """Names of what a package takes, itself left out, but for `without` and what only that takes.

    Args:
        start: name of the package.
        requires: requirements of each package.
        extras: extras of each package that are asked for; those of others are added.
        without: name that is not followed.
    """
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for text in requires.get(name, []):
            wanted = Requirement(text)
            asked = extras.get(name, set()) | {""}
            if wanted.marker and not any(wanted.marker.evaluate({"extra": one}) for one in asked):
                continue
            other = name_of(wanted.name)
            new = wanted.extras - extras.get(other, set())
            if other != without and (other not in seen or new):
                extras.setdefault(other, set()).update(wanted.extras)
                seen.add(other)
                waiting.append(other)
    return seen - {start}


def pinned(text: str) -> dict[str, str]:
    """Name -> version of every line."""
    lines = (line.split()[0] for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("==") for line in lines)


def differences(pins: dict[str, str], installed: list[Distribution]) -> list[str]:
    """What is installed in another version than pinned, or without a pin."""
    by_name = {name_of(one.name): one for one in installed}
    requires = {name: one.requires or [] for name, one in by_name.items()}
    free = {OURS, TORCH, "pip"} | reached(TORCH, requires, {})
    wrong = []
    for name, one in sorted(by_name.items()):
        if name in pins and one.version != pins[name]:
            wrong.append(f"{name} {one.version} in place of {pins[name]}")
        elif name not in pins and name not in free:
            wrong.append(f"{name} {one.version}")
    return wrong


if __name__ == "__main__":
    main()
