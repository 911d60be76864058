import nbformat
import pytest
from helpers import CHECKOUT
from nbclient import NotebookClient

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
PICTURES = {"look_at_a_data_set": 3, "train_in_python": 1}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own messaging
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that the kernel leaves behind
def test_a_notebook_runs_and_draws(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[path.stem]
