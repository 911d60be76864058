"""The private names of Lightning that this package needs, all of them: no other file uses one.

Each is used in one function, whose docstring says for what. Where a version of Lightning lacks one,
a test of `tests/callbacks/test_lightning_private.py` fails, and a run ends with a sentence that
names it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `place_of` is asked without Lightning, too
    from lightning import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.strategies import Strategy


def group_timeout(strategy: "Strategy") -> timedelta | None:
    """How long a rank waits for the others (DDP); None: as long as torch does."""
    from lightning.pytorch.strategies import DDPStrategy

    return _private(strategy, "_timeout") if isinstance(strategy, DDPStrategy) else None


def ask_no_rank_for_sigterm(trainer: "Trainer") -> None:
    """Switch off Lightning's question after each step whether a rank received SIGTERM.

    It makes the GPU wait, and is asked within a signal handler, too. `stopping.py` asks instead.
    """
    loop = trainer.fit_loop.epoch_loop
    _private(loop, "_broadcast_sigterm_tensor")
    loop._broadcast_sigterm_tensor = lambda: None


def handlers_before_lightning(trainer: "Trainer") -> Mapping[Any, Any]:
    """Signal -> the handler that was there before Lightning's own."""
    return _private(_private(trainer, "_signal_connector"), "_original_handlers")


def epoch_sums(trainer: "Trainer") -> dict[str, Any]:
    """Name -> what Lightning averages over the epoch so far, and does not save.

    Attributes of each: `value`, a tensor summed over clips, and `cumulated_batch_size`, the number
    of these clips.
    """
    results = _private(trainer.fit_loop.epoch_loop, "_results")
    return {name: one for name, one in results.items() if one.meta.on_epoch and one.is_tensor}


def place_of(checkpoint: Mapping[str, Any]) -> tuple[int, int]:
    """Epoch and batch, counted from 0, that a run goes on with after a checkpoint."""
    loop = checkpoint["loops"]["fit_loop"]
    epoch = loop["epoch_progress"]["current"]
    batches = loop["epoch_loop.batch_progress"]
    if epoch["started"] == epoch["processed"]:
        return epoch["processed"], 0
    if batches["is_last_batch"]:  # `best.ckpt` is written in the validation after it
        return epoch["started"], 0
    return epoch["processed"], batches["current"]["processed"]


def follow_best(callback: "ModelCheckpoint", checkpoint: Mapping[str, Any]) -> str | None:
    """Have a ModelCheckpoint go on with the best score so far, where its file lies in the folder.

    Lightning forgets the score in a run directory that was moved, so that a worse epoch replaces
    its best, but keeps the path to the best of another run.

    Returns:
        Where the best file of before stays, if it is not in the callback's folder.
    """
    states = checkpoint["callbacks"]
    state, folder = states.get(callback.state_key), Path(str(callback.dirpath))
    if not state or state["dirpath"] == callback.dirpath or not state["best_model_path"]:
        return None
    if not (folder / Path(state["best_model_path"]).name).exists():
        del states[callback.state_key]
        return state["best_model_path"]

    def moved(path: str) -> str:
        return path and str(folder / Path(path).name)

    names = ("best_model_path", "kth_best_model_path", "last_model_path")
    best = {moved(path): score for path, score in state["best_k_models"].items()}
    state |= {name: moved(state[name]) for name in names}
    state |= {"best_k_models": best, "dirpath": callback.dirpath}
    return None


def continue_columns(writer: Any, names: Sequence[str]) -> None:
    """Have the `experiment` of a CSVLogger append to a metrics.csv that has these columns."""
    _private(writer, "metrics_keys")
    writer.metrics_keys = list(names)


def _private(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        import lightning

        raise RuntimeError(
            f"Lightning {lightning.__version__} has no {type(owner).__name__}.{name} any more: "
            "install the version that constraints.txt names, or correct lightning_private.py"
        ) from error
