"""The resolvers that conf/ uses: `${run_dir:...}`, `${cache_folder:}`, `${first:...}` and more."""

import os
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from stgcn_lightning.evaluation.published import recipe_of
from stgcn_lightning.launching.claiming import named_by_time, run_dir

MODEL = "stgcn"  # where none is chosen


def register_resolvers() -> None:
    """Make the resolvers of conf/ known: `first`, `run_dir`, `new_folder` and others."""
    OmegaConf.register_new_resolver("first", first, replace=True)
    OmegaConf.register_new_resolver("run_dir", run_dir, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("new_folder", named_by_time, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("cache_folder", cache_folder, replace=True)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("by_optimizer", by_optimizer, replace=True)
    OmegaConf.register_new_resolver("published_recipe", recipe_of, replace=True)
    OmegaConf.register_new_resolver("law_of", law_of, replace=True)
    OmegaConf.register_new_resolver("no_wandb_account", no_wandb_account, replace=True)


def first(n: int, items: ListConfig) -> ListConfig:
    """The first ``n`` items: no plain list, which ``--resolve`` refuses."""
    return ListConfig(items[:n])


def run_name(model: str | None, *names: str | None) -> str:
    """The names that are given, joined; ``test`` where a checkpoint says all of them.

    The model that is trained where none is chosen goes without saying.
    """
    return "_".join(name for name in (None if model == MODEL else model, *names) if name) or "test"


def by_optimizer(name: Any, sgd: Any, adamw: Any) -> Any:
    """The value of a recipe with this optimizer; a name that there is not is refused elsewhere."""
    return adamw if name == "adamw" else sgd


def law_of(checkpoints: Any, model: Any, benchmark: Any, stream: Any, otherwise: str) -> str:
    """Whose law of test clips the published file follows that `reproduce` tests for a stream."""
    if checkpoints is None:
        return otherwise
    from stgcn_lightning.jobs.leading import law_of_checkpoint

    return law_of_checkpoint(checkpoints, model, benchmark, stream) or otherwise


def cache_folder() -> str:
    """Where this package keeps what it downloaded, by the XDG Base Directory Specification."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # which ignores a folder that is not absolute
    folder = Path(root) if Path(root).is_absolute() else Path(home() or "~") / ".cache"
    return str(folder / "stgcn_lightning")


def home() -> Path | None:
    """The user's home directory; None without HOME and without an entry in the list of users.

    Containers run so. A path that needs it keeps its ``~``, and is refused where it is used.
    """
    try:
        return Path.home()
    except RuntimeError:
        return None


def no_wandb_account() -> bool:
    """Whether no W&B account is set up on this machine: then runs are kept offline.

    WANDB_MODE of the environment goes before: what it says is obeyed with and without an account.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode or os.environ.get("WANDB_API_KEY"):
        return mode in ("offline", "dryrun")
    netrc = Path(os.environ.get("NETRC") or (home() or Path("~")) / ".netrc")
    return not (netrc.exists() and "wandb" in netrc.read_text())
