"""Who may import whom: data walks down the rooms once and does not come back up."""

import ast

import pytest
from helpers import CHECKOUT

PACKAGE = CHECKOUT / "src" / "stgcn_lightning"
OURS = "stgcn_lightning."
STANDARD = set(__import__("sys").stdlib_module_names)

# file or folder -> what it may import besides the standard library and `errors`
MAY = {
    "errors": set(),
    "skeleton": set(),
    "files": {"numpy", "torch", "filelock", "rich", "files"},
    "graph": {"numpy", "skeleton"},
    "sources": {"numpy", "filelock", "files", "sources"},
    "data": {"numpy", "torch", "skeleton", "files", "filelock", "data", "sources"},
    "data/datamodule": {"numpy", "torch", "skeleton", "data", "lightning"},
    "models": {"numpy", "torch", "models"},
    "engine": {"numpy", "torch", "models", "engine"},
    "engine/modes": set(),
    "evaluation": {"numpy", "evaluation", "files"},
    "evaluation/metrics": {"torchmetrics"},
    "evaluation/published": {"omegaconf"},
    "report": {"numpy", "evaluation", "skeleton", "report"},
    "ranks": {"torch"},
    "terminal": {"rich", "ranks"},
    "recipe": set(),
    "recognizer": {
        "checkpoints",
        "engine",
        "files",
        "recipe",
        "typing_extensions",
        "numpy",
        "torch",
        "lightning",
        "torchmetrics",
        "models",
        "data",
        "evaluation",
        "ranks",
    },
    "callbacks": {"lightning"},
    "callbacks/progress": {"lightning", "psutil", "rich", "torch"},
    "callbacks/dashboard": {"lightning", "torch", "wandb", "evaluation", "report", "files"},
    "callbacks/checkpoints": {"lightning", "torch", "files", "ranks"},
    "checkpoints": {"torch", "files", "models", "checkpoints", "omegaconf", "rich", "onnxruntime"},
    "checkpoints/safetensors": {"torch", "files", "safetensors"},
    "checkpoints": {"torch", "files", "graph", "skeleton", "models", "engine", "checkpoints"},
    "checkpoints/safetensors": {"torch", "files", "safetensors"},
    "checkpoints/onnx": {"torch", "models", "engine", "onnxruntime"},
    "checkpoints/zoo": {"files", "rich", "yaml"},
}
# the front doors and what they share may import everything
DOORS = {"launching", "sweeps", "jobs", "settings"}
DOORS |= {"train", "test", "fuse", "prepare", "reproduce", "export"}
FILES = sorted(
    str(file.relative_to(PACKAGE).with_suffix(""))
    for file in PACKAGE.rglob("*.py")
    if file.name != "__init__.py"
)


def imports(name):
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module
            yield node.module


@pytest.mark.parametrize("name", FILES)
def test_file_imports_only_what_its_room_may(name):
    if name.split("/")[0] in DOORS:
        return
    allowed = MAY.get(name, MAY.get(name.split("/")[0]))
    assert allowed is not None, f"{name} is in no room: say here what it may import"
    for module in imports(name):
        top = module.removeprefix(OURS).split(".")[0]
        if top not in STANDARD | {"errors"}:
            assert top in allowed, f"{name} imports {module}"


def test_only_the_front_doors_know_hydra_and_only_the_dashboard_wandb():
    for name in FILES:
        modules = {module.split(".")[0] for module in imports(name)}
        assert name.split("/")[0] in DOORS or "hydra" not in modules
        assert name == "callbacks/dashboard" or "wandb" not in modules
