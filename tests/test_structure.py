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
NAMED = re.compile(rf"{OURS}(\.\w+)+(:\w+)?")
MOST_LINES = 400
STANDARD = set(sys.stdlib_module_names)
CONFIGURATION = {"hydra", "omegaconf"}

# room -> rooms of ours that it may import besides itself: downwards only
ROOMS = {
    "errors": "",
    "ranks": "",
    "recipe": "",
    "distributed": "errors",
    "skeleton": "errors",
    "terminal": "errors ranks",
    "files": "errors",
    "graph": "errors skeleton",
    "sources": "errors skeleton files shipped",
    "data": "errors skeleton files sources",
    "models": "errors graph skeleton",
    "engine": "errors files models",
    "evaluation": "errors skeleton files",
    "report": "errors terminal skeleton evaluation",
    "checkpoints": "errors skeleton files graph models engine",
    "optimisation": "errors recipe",
    "recognizer": "errors recipe optimisation distributed files data models engine checkpoints "
    "evaluation",
    "callbacks": "errors ranks terminal distributed files evaluation report",
    "streaming": "errors skeleton data engine",
    "predictor": "errors skeleton data engine checkpoints models sources streaming",
    "settings": "errors skeleton terminal shipped",
    "jobs": "errors ranks recipe distributed skeleton terminal files graph sources data models "
    "engine evaluation report checkpoints optimisation recognizer callbacks predictor settings "
    "shipped",
    "shipped": "errors skeleton",
    "launching": "errors ranks distributed terminal shipped files evaluation settings jobs",
    # the front doors
    "train": "launching",
    "test": "launching",
    "fuse": "launching",
    "reproduce": "launching",
    "prepare": "launching",
    "export": "launching",
    "inspect": "launching",
    "predict": "launching",
    "zoo": "launching",
    "sweeps": "errors terminal launching",
    "__main__": "errors terminal launching sweeps",
}
# light tables of names, which import nothing: the settings may know them, too
NAMES = {"engine.modes", "data.names", "models.registry", "sources.registry"}
# room or file -> packages of others that it may import
PACKAGES = {
    "distributed": "torch",
    "terminal": "rich",
    "files": "numpy torch",
    "files.downloads": "rich",
    "files.locks": "filelock",
    "files.reading": "",
    "files.writing": "",
    "graph": "numpy",
    "sources": "numpy",
    "sources.formats": "",
    "sources.mediapipe_parquet": "numpy pyarrow",
    "sources.linking": "numpy scipy",
    "sources.concepts": "",
    "sources.own_skeletons": "",
    "sources.hdf5_files": "numpy h5py",
    "sources.registry": "",
    "data": "numpy torch xxhash",
    "data.names": "",
    "data.datamodule": "numpy torch lightning",
    "models": "numpy torch",
    "engine": "torch",
    "engine.modes": "",
    "evaluation": "numpy",
    "evaluation.metrics": "torchmetrics",
    "evaluation.published": "yaml",
    "report": "numpy",
    "report.pages": "numpy jinja2",
    "report.colours": "",
    "report.animation": "numpy PIL imageio_ffmpeg",
    "report.lettering": "PIL",
    "report.timeline_picture": "PIL",
    "checkpoints": "torch",
    "checkpoints.safetensors": "torch safetensors",
    "checkpoints.onnx": "torch onnxruntime",
    "checkpoints.onnx_continual": "torch onnxruntime",
    "checkpoints.zoo": "rich yaml",
    "optimisation": "torch",
    "recognizer": "numpy torch lightning torchmetrics typing_extensions",
    "streaming": "numpy torch",
    "streaming.options": "",
    "predictor": "numpy torch",
    "callbacks": "lightning torch",
    "callbacks.pace": "lightning",
    "callbacks.speed": "lightning psutil torch",
    "callbacks.bars": "lightning rich",
    "callbacks.last_checkpoint": "",
    "callbacks.dashboard": "lightning torch wandb",
    "settings": "",
    "settings.compose": "hydra omegaconf",
    "settings.objects": "hydra omegaconf",
    "settings.references": "hydra omegaconf",
    "jobs": "numpy torch lightning rich",
    "jobs.own.files": "numpy yaml",
    "jobs.inspection.runs": "numpy yaml",
    "shipped": "yaml",
    "launching": "hydra omegaconf yaml",
    "launching.devices": "omegaconf torch",
}
FILES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts): file
    for file in PACKAGE.rglob("*.py")
}


def module_of(name):
    """The file that a dotted name lies in, or None: `files.writing.AnyPath` in `files.writing`."""
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
        elif isinstance(node, ast.Constant) and NAMED.fullmatch(str(node.value)):
            found.add(str(node.value).replace(":", "."))
    return found


@cache
def imports_of_ours(name):
    named = (module.removeprefix(f"{OURS}.") for module in imports(name) if module.startswith(OURS))
    return {module for module in map(module_of, named) if module and module != name}


def packages(name):
    tops = {module.split(".")[0] for module in imports(name)}
    return tops - STANDARD - {OURS}


def nearest_row(table, name):
    """The row of a file, or that of its room."""
    return set(table.get(name, table.get(name.split(".")[0], "")).split())


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"__init__"}))
def test_a_file_imports_only_what_its_room_may(name):
    room = name.split(".")[0]
    assert room in ROOMS, f"{name} is in no room: say here what it may import"
    for module in imports_of_ours(name):
        allowed = {room, *ROOMS[room].split()}
        assert module in NAMES or module.split(".")[0] in allowed, f"{name} imports {module}"
    assert packages(name) <= nearest_row(PACKAGES, name), name


def test_only_settings_launching_and_the_doors_know_the_configuration():
    knowing = {name.split(".")[0] for name in FILES if packages(name) & CONFIGURATION}
    assert knowing == {"settings", "launching"}  # the doors open by `launching` alone


def test_only_the_dashboard_knows_wandb():
    assert [name for name in FILES if "wandb" in packages(name)] == ["callbacks.dashboard"]


def test_models_know_nothing_of_the_engine():
    for name in FILES:
        if name.startswith("models."):
            assert not any(module.startswith("engine") for module in imports_of_ours(name))


def test_no_import_goes_round():
    left = {name: imports_of_ours(name) - {"__init__"} for name in FILES if name != "__init__"}
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert not left, f"these import each other in a circle: {', '.join(sorted(left))}"


def test_no_file_imports_the_library_s_face():
    for name in FILES.keys() - {"__init__"}:
        for module in imports(name):
            of_ours = module == OURS or module.startswith(f"{OURS}.")
            assert not of_ours or module_of(module.removeprefix(f"{OURS}.")), f"{name}: {module}"


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_read_in_one_sitting(name):
    assert len(FILES[name].read_text().splitlines()) <= MOST_LINES


def test_a_backbone_is_read_in_one_sitting():
    assert len(FILES["models.stgcn"].read_text().splitlines()) <= 250
