"""The resolvers that conf/ uses: `${run_dir:...}`, `${cache_folder:}`, `${first:...}` and more."""

import os
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from stgcn_lightning import ranks


def register_resolvers() -> None:
    """Make the resolvers of conf/ known: `first`, `run_dir`, `cache_folder`, `no_wandb_account`."""
    OmegaConf.register_new_resolver("first", lambda n, items: items[:n], replace=True)
    OmegaConf.register_new_resolver("run_dir", run_dir, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("cache_folder", cache_folder, replace=True)
    OmegaConf.register_new_resolver("no_wandb_account", no_wandb_account, replace=True)


def run_dir(root: str, resume: str | None) -> str:
    """A new folder under `root` named by the time; with ``resume=auto`` the newest with a run.

    All ranks that torchrun started take the one that rank 0 chooses; in a job of SLURM it is named
    by the job, so that one that is put back in the queue finds it again.
    """
    if ranks.started_by_slurm():
        return f"{root}/slurm_{os.environ['SLURM_JOB_ID']}"
    if ranks.world_size() == 1:
        return _run_dir(root, resume)
    from stgcn_lightning.distributed import key_value_store  # imports torch

    # torchrun's agent holds it
    store = key_value_store(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
    )
    key = f"stgcn_lightning/run_dir/{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    if ranks.global_rank() == 0:
        store.set(key, _run_dir(root, resume))
    return store.get(key).decode()


def _run_dir(root: str, resume: str | None) -> str:
    if resume == "auto":
        runs = Path(root).glob("*/checkpoints/*.ckpt")
        newest = max(runs, key=lambda file: file.stat().st_mtime, default=None)
        if newest:
            return str(newest.parents[1])
    name = folder = f"{root}/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    while Path(folder).exists():  # two runs in one second
        folder = f"{name}_{len(list(Path(root).glob(f'{Path(name).name}*'))) + 1}"
    return folder


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
