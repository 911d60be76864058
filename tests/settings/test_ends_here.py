"""The configuration ends in `settings`: nothing below knows how it was composed."""

import ast
import subprocess
import sys

import pytest
from helpers import CHECKOUT

PACKAGE = CHECKOUT / "src" / "stgcn_lightning"
KNOW = {"settings", "launching", "sweeps"}
KNOW |= {"train", "test", "fuse", "prepare", "reproduce", "export", "predict"}
FILES = sorted(file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", FILES, ids=str)
def test_only_settings_launching_and_the_doors_know_hydra_and_omegaconf(name):
    if name.with_suffix("").parts[0] in KNOW:
        return
    for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            modules = [ast.unparse(node.args[0]).strip("'\"")]
        for module in modules:
            assert module.split(".")[0] not in ("hydra", "omegaconf"), f"{name} imports {module}"


def test_settings_need_no_torch():
    """`--help` of a door reads them."""
    script = (
        "import sys, stgcn_lightning.settings.compose\n"
        "heavy = {'torch', 'lightning', 'numpy', 'rich', 'hydra', 'omegaconf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
