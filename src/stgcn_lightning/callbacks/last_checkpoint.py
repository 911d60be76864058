"""The last checkpoints of a run on disk: their names, and which of them stay."""

from pathlib import Path

from stgcn_lightning.files.writing import sync_folder

LAST = "last.ckpt"
NEXT = "next.ckpt"  # complete, and about to become the last
EARLIER = "step_*.ckpt"  # was the last before


def make_last(folder: Path, step: int, last_step: int | None, keep: int) -> None:
    """Make `next.ckpt` the last checkpoint, and delete those that are too many.

    Args:
        folder: of the checkpoints.
        step: of `next.ckpt`.
        last_step: of `last.ckpt`, which is kept under a name with this number; None: it is unknown,
            and the file is replaced.
        keep: how many checkpoints remain, the last among them.
    """
    last = folder / LAST
    if last_step is not None and last.exists() and keep > 1:
        last.replace(folder / _earlier(last_step))
    (folder / NEXT).replace(last)
    sync_folder(folder)
    earlier = sorted(folder.glob(EARLIER))
    # a run that was resumed from an earlier step (resume=FILE) leaves later ones: these go, too
    before = [path for path in earlier if path < folder / _earlier(step)]
    kept = before[-keep + 1 :] if keep > 1 else []
    for path in earlier:
        if path not in kept:
            path.unlink()


def _earlier(step: int) -> str:
    return EARLIER.replace("*", f"{step:09}")
