"""Print docs/licences.md: the licences of what this package needs, as these packages state them.

python scripts/supply/licences.py > docs/licences.md
"""

import re
import sys
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement
from pins import OURS, name_of, reached

HEAD = """# Licences

This package is under the Apache License 2.0 ([LICENSE](../LICENSE)) and needs these, which pip installs beside it. The page
is made by `make docs` from what the packages in the versions of `constraints.txt` state of themselves. A wheel may hold
more: that of imageio-ffmpeg an ffmpeg under the GPL, which is run as a program; those of torch for GPUs libraries of the
GPU's maker, under licences of its own. Not listed are what rtmlib needs, and tools that only the tests need.
"""  # noqa: E501
TESTS = "dev"  # the extra that no user needs
# of packages that are not installed for the tests: read in the files of the package
READ = {"rtmlib": "Apache-2.0"}
SHORT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "ISC license": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def main() -> None:
    """Print the page."""
    installed = {name_of(one.name): one for one in distributions()}
    print(page(installed))


def page(installed: dict[str, Distribution]) -> str:
    """The page, of what is installed.

    Raises:
        SystemExit: a package that users need is not installed, or states no licence.
    """
    wanted = direct(installed[OURS].requires or [])
    requires = {name: one.requires or [] for name, one in installed.items()}
    extras = {OURS: {extra for _, extra in wanted}}
    further = sorted(reached(OURS, requires, extras) - {name for name, _ in wanted})
    rows = [f"| {name} | {extra} | {licence(name, installed)} |" for name, extra in sorted(wanted)]
    by_licence: dict[str, list[str]] = {}
    for name in further:
        by_licence.setdefault(licence(name, installed), []).append(name)
    groups = [f"| {kind} | {', '.join(names)} |" for kind, names in sorted(by_licence.items())]
    return "\n".join(
        [HEAD, "| package | extra | licence |", "|---|---|---|", *rows,
         "\n## What these need\n", "| licence | packages |", "|---|---|", *groups]
    )  # fmt: skip


def direct(requires: list[str]) -> set[tuple[str, str]]:
    """Name and extra of what users install with this package; the extra is empty without one."""
    found = set()
    for text in requires:
        wanted = Requirement(text)
        extra = re.search(r"extra == [\"'](\w+)", str(wanted.marker or ""))
        if not extra or extra[1] != TESTS:
            found.add((name_of(wanted.name), extra[1] if extra else ""))
    return found


def licence(name: str, installed: dict[str, Distribution]) -> str:
    """The licence that a package states.

    Raises:
        SystemExit: it is not installed, or states none.
    """
    if name not in installed:
        return READ[name] if name in READ else sys.exit(f"{name} is not installed")
    about = installed[name].metadata
    classifiers = [one.split(" :: ") for one in about.get_all("Classifier") or []]
    kinds = [one[-1] for one in classifiers if one[0] == "License" and len(one) > 2]
    text = [one for one in about.get_all("License") or [] if one != "UNKNOWN" and "\n" not in one]
    stated = about.get_all("License-Expression") or text or kinds
    if not stated:
        sys.exit(f"{name} states no licence: look it up, and put it into READ")
    return " OR ".join(str(SHORT.get(one, one)) for one in stated)


if __name__ == "__main__":
    main()
