"""Who may import whom: data walks down the rooms once and does not come back up.

Every import counts: at the top of a file, within a function, and by a text that names a module of
ours (what `importlib` or a table of lazily imported names would be given).
"""

import ast
import re
import sys
from functools import cache

import pytest
from helpers import CHECKOUT

PACKAGE = CHECKOUT / "src" / "stgcn_lightning"
OURS = "stgcn_lightning"
MOST_LINES = 400
STANDARD = set(sys.stdlib_module_names)
CONFIGURATION = {"hydra", "omegaconf"}

# room -> rooms of ours, and packages of others, that it may import besides the standard library
MAY = {
    "errors": set(),
    "skeleton": {"errors"},
}
DATA_TABLES = set()  # files that may be longer
FILES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")
}


def module_of(name):
    """The module of ours that a dotted name lies in, or None: `files.writing.sha256` is `files.writing`."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        for candidate in (".".join(parts[:end]), ".".join([*parts[:end], "__init__"])):
            if candidate in FILES:
                return candidate
    return None


@cache
def imports(name):
    """Modules that a file imports, however it does; those of ours without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module
            # from stgcn_lightning.files import writing
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(rf"{OURS}(\.\w+)+(:\w+)?", node.value):
                found.add(node.value.replace(":", "."))
    return found


@cache
def imports_of_ours(name):
    named = (module.removeprefix(f"{OURS}.") for module in imports(name) if module.startswith(OURS))
    return {module for module in map(module_of, named) if module and module != name}


def packages(name):
    tops = {module.split(".")[0] for module in imports(name)}
    return tops - STANDARD - {OURS}
